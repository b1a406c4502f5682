//! The resolver for what the operator configured: the machine's own, hosts file and all.

use std::time::Duration;

use async_trait::async_trait;

use super::{ADDRESSES_PER_NAME_MAX, Answer, ResolveError, Resolver};

/// Asks the operating system. Never used for a name that an agent chose.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineResolver;

#[async_trait]
impl Resolver for MachineResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map_err(|error| ResolveError::Unavailable(error.to_string()))?;
        let addresses: Vec<_> = found.map(|address| address.ip()).take(ADDRESSES_PER_NAME_MAX).collect();
        if addresses.is_empty() {
            return Err(ResolveError::NotFound);
        }
        Ok(Answer { addresses, ttl: Duration::ZERO })
    }
}
