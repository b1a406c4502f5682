//! The routing table of the public listener: host names to agents, replaced whole when an agent comes or goes.
//!
//! The hot path reads one pointer; it never passes through the orchestrator.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use nisse_model::{Address, AgentName};

use crate::public::PublicAgent;

/// Which agent answers under which host name.
#[derive(Default)]
pub(crate) struct Routes {
    table: RwLock<Arc<HashMap<String, Route>>>,
}

/// Where a host name leads.
#[derive(Clone)]
pub(crate) enum Route {
    /// To a live agent.
    Agent(PublicAgent),
    /// To an agent that is known and does not run now: what it is doing instead.
    Away(&'static str),
}

impl Routes {
    /// The route of a host name without its port, any letter case.
    pub(crate) fn find(&self, host: &str) -> Option<Route> {
        let table = Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner));
        match table.get(host) {
            Some(route) => Some(route.clone()),
            None => table.get(&host.to_ascii_lowercase()).cloned(),
        }
    }

    /// Replaces the table.
    pub(crate) fn publish(&self, table: HashMap<String, Route>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

/// The host names of an agent: the long one, and an alias of one label for wildcard certificates (DESIGN §5.7).
///
/// The node owner's agents take `<agent>.<suffix>`, others `<agent>--<8 hex of owner>.<suffix>`.
pub(crate) fn host_names(name: &AgentName, owner: Address, operator: Address, suffix: &str) -> [String; 2] {
    let long = if owner == operator { name.to_string() } else { format!("{name}--{}", owner.short()) };
    let alias = long.replace('.', "-");
    [format!("{long}.{suffix}"), format!("{alias}.{suffix}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_agents_take_their_name_and_others_carry_their_owner() {
        let (operator, alice) = (Address([1; 20]), Address([0xab; 20]));
        let name = "talos.oracle.price-eth".parse().expect("a name");
        let own = host_names(&name, operator, operator, "localhost");
        assert_eq!(own, ["talos.oracle.price-eth.localhost", "talos-oracle-price-eth.localhost"]);
        let other = host_names(&name, alice, operator, "node.example.org");
        assert_eq!(other[0], "talos.oracle.price-eth--abababab.node.example.org");
        assert_eq!(other[1], "talos-oracle-price-eth--abababab.node.example.org");
    }
}
