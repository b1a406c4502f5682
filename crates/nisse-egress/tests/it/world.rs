//! A node's way out over scripted names and a fake network, and a guest that sends requests through it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nisse_egress::fake::{AuditLog, FakeNetwork, FakeSecrets, FakeServer, ScriptedResolver};
use nisse_egress::{
    CaFile, Egress, EgressConfig, EgressDeps, EgressError, EgressTime, GuestRequest, GuestResponse, Reach, RequestBody,
    RequestTimeouts, ServerIdentity, TlsRoots,
};
use nisse_model::{LocalService, NetworkRule, SecretRule, Timestamp};

/// The host that the tests' agent may reach, and its addresses.
pub(crate) const HOST: &str = "api.example.com";
pub(crate) const PUBLIC_V4: &str = "93.184.216.34";
pub(crate) const PUBLIC_V6: &str = "2606:2800:220:1::1";
pub(crate) const NO_TTL: Duration = Duration::ZERO;
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// One node, one agent.
pub(crate) struct World {
    pub(crate) names: ScriptedResolver,
    pub(crate) network: FakeNetwork,
    pub(crate) vault: FakeSecrets,
    pub(crate) audit: AuditLog,
    pub(crate) egress: Egress,
    pub(crate) identity: ServerIdentity,
    pub(crate) elapsed: Arc<Mutex<Duration>>,
    pub(crate) rules: Vec<NetworkRule>,
    pub(crate) local: Vec<LocalService>,
    pub(crate) secrets: Vec<SecretRule>,
}

impl World {
    /// An agent with these `network_outbound` permissions.
    pub(crate) fn new(rules: &[&str]) -> Self {
        Self::with(rules, |_| {})
    }

    pub(crate) fn with(rules: &[&str], change: impl FnOnce(&mut EgressConfig)) -> Self {
        let (names, network, audit) = (ScriptedResolver::default(), FakeNetwork::default(), AuditLog::default());
        let vault = FakeSecrets::default();
        let identity = ServerIdentity::generate(HOST).unwrap();
        let elapsed = Arc::new(Mutex::new(Duration::from_secs(10)));
        let clock = elapsed.clone();
        let time = EgressTime::new(|| Timestamp(1_000), move || *clock.lock().unwrap());
        let roots = TlsRoots::Only(CaFile::from_pem(identity.authority_pem()).unwrap());
        let mut config = EgressConfig { roots, ..EgressConfig::default() };
        change(&mut config);
        let deps = EgressDeps {
            resolver: Arc::new(names.clone()),
            dialler: Arc::new(network.clone()),
            secrets: Arc::new(vault.clone()),
            audit: Arc::new(audit.clone()),
            time,
        };
        Self {
            names,
            network,
            vault,
            audit,
            egress: Egress::new(config, deps),
            identity,
            elapsed,
            rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            local: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub(crate) fn with_local(mut self, services: &[&str]) -> Self {
        self.local = services.iter().map(|service| service.parse().unwrap()).collect();
        self
    }

    /// These `secret` permissions.
    pub(crate) fn with_secrets(mut self, rules: &[&str]) -> Self {
        self.secrets = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        self
    }

    /// `HOST` answers 200 at its public addresses, in both schemes.
    pub(crate) fn with_host(self) -> Self {
        self.names.answer(HOST, &[PUBLIC_V4], LONG);
        self.serve_host(FakeServer::ok("hello"));
        self
    }

    /// `server` listens at the public addresses, in both schemes.
    pub(crate) fn serve_host(&self, server: FakeServer) {
        let v6 = format!("[{PUBLIC_V6}]");
        for address in [PUBLIC_V4, v6.as_str()] {
            self.network.serve(&format!("{address}:80"), server.clone());
            self.network.serve(&format!("{address}:443"), server.clone().with_tls(&self.identity));
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        *self.elapsed.lock().unwrap() += time;
    }

    pub(crate) fn request<'a>(&'a self, url: &str) -> GuestRequest<'a> {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        self.parts(scheme, authority, path)
    }

    pub(crate) fn parts<'a>(&'a self, scheme: &str, authority: &str, path_and_query: &str) -> GuestRequest<'a> {
        GuestRequest {
            agent: "talos.probe".to_owned(),
            reach: Reach::Granted { rules: &self.rules, local: &self.local, secrets: &self.secrets },
            method: "GET".to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path_and_query: path_and_query.to_owned(),
            headers: Vec::new(),
            body: RequestBody::Empty,
            timeouts: RequestTimeouts::default(),
        }
    }

    pub(crate) async fn send(&self, request: GuestRequest<'_>) -> Result<(u16, String), EgressError> {
        let response: GuestResponse = self.egress.request(request).await?;
        let status = response.status.as_u16();
        let body = response.body.collect(1 << 20).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<(u16, String), EgressError> {
        self.send(self.request(url)).await
    }

    /// The request was refused, no canary heard anything, and nothing at all was dialled beyond `dials`.
    #[track_caller]
    pub(crate) fn nothing_dialled_beyond(&self, dials: usize) {
        assert_eq!(self.network.canaries(), 0, "canaries heard {:?}", self.network.dials());
        assert_eq!(self.network.dials().len(), dials, "dialled {:?}", self.network.dials());
    }

    /// The last audit line's reason.
    pub(crate) fn last_reason(&self) -> &'static str {
        self.audit.lines().last().unwrap().verdict.reason()
    }
}

/// Both schemes with both rules: `(rule, scheme)`.
pub(crate) const SCHEMES: [(&str, &str); 2] = [("api.example.com", "https"), ("http://api.example.com", "http")];
