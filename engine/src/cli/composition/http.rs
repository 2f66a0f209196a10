//! The address a server listens on, and how its requests are brought to an end.

use std::future::IntoFuture;
use std::io::ErrorKind;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::Error;
use crate::config::Server;

/// Listens where the configuration says; `flag` is the one that changes the address.
pub async fn listen(server: &Server, flag: &str) -> Result<TcpListener, Error> {
    let Server { host, port, .. } = server;
    TcpListener::bind((host.as_str(), *port)).await.map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => {
                "choose another port with --port N".to_owned()
            }
            _ => format!("choose another address with {flag}"),
        };
        Error::Failed(format!("failed to listen on {host}:{port}: {error}; {fix}"))
    })
}

/// Where a listener can be reached: `http://127.0.0.1:8083`.
pub fn endpoint(listener: &TcpListener) -> Result<String, Error> {
    let local = listener.local_addr().map_err(|error| Error::Failed(format!("failed to listen: {error}")))?;
    Ok(format!("http://{local}"))
}

/// Answers requests until told to stop; then takes no more, and gives those at hand `grace` to end.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, grace: Duration) {
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => if let Err(error) = served {
            tracing::error!(%error, "the API has stopped");
        },
        () = async { stop.cancelled().await; tokio::time::sleep(grace).await } => {}
    }
}
