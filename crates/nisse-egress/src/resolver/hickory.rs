//! The resolver for agents' names: asks name servers, and only them.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::{ADDRESSES_PER_NAME_MAX, Answer, ResolveError, Resolver};

/// Time for one query to one name server.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries per query.
const QUERY_ATTEMPTS: usize = 2;

/// hickory without hosts file, search list and cache (the cache that respects our limits is in front of it).
pub struct HickoryResolver {
    /// The resolver, or why there is none: then each question fails and says so.
    resolver: Result<TokioResolver, String>,
}

impl HickoryResolver {
    /// Asks these name servers, or those of the machine's configuration when the list is empty.
    pub fn new(name_servers: &[SocketAddr]) -> Self {
        Self { resolver: build(name_servers).map_err(|error| error.to_string()) }
    }
}

fn build(name_servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let servers = if name_servers.is_empty() {
        let (config, _) = hickory_resolver::system_conf::read_system_conf()?;
        config.name_servers().to_vec()
    } else {
        name_servers.iter().map(|server| name_server(*server)).collect()
    };
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.ndots = 0;
    options.timeout = QUERY_TIMEOUT;
    options.attempts = QUERY_ATTEMPTS;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let resolver = self.resolver.as_ref().map_err(|why| ResolveError::Unavailable(why.clone()))?;
        // The dot makes the name fully qualified: no search list is ever tried.
        let found = resolver.lookup_ip(format!("{name}.")).await;
        let lookup = found.map_err(|error| {
            if error.is_no_records_found() {
                ResolveError::NotFound
            } else {
                ResolveError::Unavailable(error.to_string())
            }
        })?;
        let records = lookup.as_lookup().answers();
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        let address = |data: &RData| match data {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        };
        let addresses: Vec<_> = records.iter().filter_map(|record| address(&record.data)).collect();
        match addresses.len() {
            0 => Err(ResolveError::NotFound),
            count if count > ADDRESSES_PER_NAME_MAX => Err(ResolveError::TooMany { count }),
            _ => Ok(Answer { addresses, ttl: Duration::from_secs(u64::from(ttl)) }),
        }
    }
}
