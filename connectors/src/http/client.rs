//! The client behind all calls: it goes only where the egress rules let it.
//!
//! A name is resolved once; its addresses are judged, and the connection is made to one of those that were
//! judged. Nothing else is ever resolved, no proxy of the environment is asked, no redirect is followed, and
//! no connection outlives its call: the next one is judged anew.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Response, StatusCode};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use url::{Host, Url};

use super::egress::{Denied, Destination, EgressRules};

/// Shared among the addresses of a host, so that one that is silent does not take all the time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 16;
/// Bytes that are kept of an answer that is no success: what a cause may be long.
const REASON_BYTES_MAX: usize = 32_768;

/// Names to addresses.
///
/// An implementation answers all addresses that it knows, and judges none.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As this machine resolves names.
pub(super) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves nothing: what is connected to was resolved before.
struct NoResolver;

impl Resolve for NoResolver {
    fn resolve(&self, _name: Name) -> Resolving {
        Box::pin(async { Err("a name that was not checked is not resolved".into()) })
    }
}

/// A request as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
    pub(super) secrets: Secrets,
}

/// Where in a request secrets of a connection are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets {
    /// Headers that hold some.
    pub(super) headers: Vec<HeaderName>,
    /// Whether the body does.
    pub(super) in_body: bool,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer. The texts hold no URL: its query may be secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The egress rules forbid it.
    Denied(Denied),
    /// The host cannot be found or reached, or broke the exchange off.
    Network(String),
    /// The answer is larger than it may be.
    TooLarge,
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Error::Denied(denied)
    }
}

pub(super) struct Client {
    rules: EgressRules,
    resolver: Arc<dyn Resolver>,
    tls: ClientConfig,
}

impl Client {
    pub(super) fn new(rules: EgressRules, resolver: Arc<dyn Resolver>) -> io::Result<Self> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(io::Error::other)?
            .with_no_client_auth();
        Ok(Client { rules, resolver, tls })
    }

    pub(super) fn resolving(self, resolver: Arc<dyn Resolver>) -> Self {
        Client { resolver, ..self }
    }

    /// What a URL leads to, if it can be called at all.
    pub(super) fn destination(&self, url: &Url) -> Result<Destination, Denied> {
        self.rules.destination(url)
    }

    /// Sends a request and reads the answer, up to this many bytes. Dropping the future closes the
    /// connection.
    pub(super) async fn exchange(&self, outgoing: &Outgoing, bytes_max: usize) -> Result<Incoming, Error> {
        let destination = self.destination(&outgoing.url)?;
        let addresses = self.addresses(&destination).await?;
        let mut url = outgoing.url.clone();
        url.set_fragment(None);
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(NoResolver)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT);
        if let Host::Domain(name) = &destination.host {
            url.set_host(Some(name)).map_err(|_| Denied::Host)?;
            client = client.resolve_to_addrs(name, &addresses);
        }
        let client = client.build().map_err(broken)?;
        let mut request = client.request(outgoing.method.clone(), url).headers(outgoing.headers.clone());
        if let Some(body) = &outgoing.body {
            request = request.body(body.clone());
        }
        read(request.send().await.map_err(broken)?, bytes_max).await
    }

    /// The addresses that a destination may be reached at: its own, or those that its name has now.
    async fn addresses(&self, destination: &Destination) -> Result<Vec<SocketAddr>, Error> {
        let name = match &destination.host {
            Host::Domain(name) => name,
            // Judged with the URL.
            Host::Ipv4(_) | Host::Ipv6(_) => return Ok(Vec::new()),
        };
        let found = self.resolver.resolve(name).await.map_err(|error| {
            tracing::debug!(%error, name, "a name was not resolved");
            Error::Network(format!("{name}: Name or service not known"))
        })?;
        if found.is_empty() {
            return Err(Error::Network(format!("{name}: Name or service not known")));
        }
        let permitted: Vec<SocketAddr> = found
            .iter()
            .filter(|address| self.rules.permits(destination, **address))
            .take(ADDRESSES_MAX)
            .map(|address| SocketAddr::new(*address, destination.port))
            .collect();
        if permitted.is_empty() {
            // The cause does not tell what a name of the inside resolves to; the log does.
            tracing::warn!(
                name,
                ?found,
                "an HTTP task was kept from calling a host that is not public: if it may, add it to `allow` of \
                 the egress rules"
            );
            return Err(Denied::Address.into());
        }
        Ok(permitted)
    }
}

/// Reads an answer. Of one that is no success the begin will do: it only tells why.
async fn read(mut response: Response, bytes_max: usize) -> Result<Incoming, Error> {
    let status = response.status();
    let announced = response.content_length().unwrap_or_default();
    if status.is_success() && announced > bytes_max as u64 {
        return Err(Error::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        body.extend_from_slice(&chunk);
        if status.is_success() && body.len() > bytes_max {
            return Err(Error::TooLarge);
        }
        if !status.is_success() && body.len() > REASON_BYTES_MAX {
            body.truncate(REASON_BYTES_MAX);
            break;
        }
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(Incoming { status, headers, body })
}

fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    Error::Network(text)
}
