//! Accepting connections, and ending them.

use crate::connection::{Shared, converse};
use crate::error::ServeError;
use crate::limits::Limits;
use crate::readers::Readers;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// Before the next attempt, when the system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves the ledger in `store` until the process is interrupted or told to terminate; then answers what is under way, and returns.
///
/// Takes a bound socket, so that the caller knows the address; `ready` is called when from now on an interrupt ends it well.
pub fn serve_log_until_signal(
    listener: std::net::TcpListener,
    store: &Path,
    ready: impl FnOnce(),
    report: impl Fn(String) + Send + Sync + 'static,
) -> Result<(), ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(ServeError::Start)?.block_on(async {
        let stop = stop_signal().map_err(ServeError::Start)?;
        listener.set_nonblocking(true).map_err(ServeError::Listener)?;
        let listener = TcpListener::from_std(listener).map_err(ServeError::Listener)?;
        ready();
        serve_log(listener, store, stop, report).await
    })
}

/// Serves the ledger in `store` until `shutdown` is ready, within [`Limits::STANDARD`].
///
/// Fails at once when the store cannot be read. When it cannot be read later, clients are told to come again, and `report` is
/// told why; it is called from the event loop, so it must be quick.
pub async fn serve_log(
    listener: TcpListener,
    store: &Path,
    shutdown: impl Future<Output = ()>,
    report: impl Fn(String) + Send + Sync + 'static,
) -> Result<(), ServeError> {
    serve_log_within(Limits::STANDARD, listener, store, shutdown, report).await
}

/// As [`serve_log`], within other limits.
pub async fn serve_log_within(
    limits: Limits,
    listener: TcpListener,
    store: &Path,
    shutdown: impl Future<Output = ()>,
    report: impl Fn(String) + Send + Sync + 'static,
) -> Result<(), ServeError> {
    let readers = Arc::new(Readers::open(store)?);
    let shared = Arc::new(Shared { readers, report: Box::new(report), limits });
    let mut connections = JoinSet::new();
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        match next(&listener, &mut connections, limits.connections_max, shutdown.as_mut()).await {
            Event::Arrived(Ok(stream)) => {
                connections.spawn(converse(stream, shared.clone(), stopped.clone()));
            }
            Event::Arrived(Err(error)) if is_the_clients(&error) => {}
            Event::Arrived(Err(error)) => {
                (shared.report)(format!("no connection can be accepted: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
            Event::Ended(Ok(())) => {}
            Event::Ended(Err(panicked)) => (shared.report)(format!("a connection ended wrongly: {panicked}")),
            Event::Shutdown => break,
        }
    }
    // First nobody new, then everybody asked to finish, then whoever has not is cut off.
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    timeout(limits.drain_timeout, drained).await.ok();
    connections.shutdown().await;
    Ok(())
}

enum Event {
    Shutdown,
    Ended(Result<(), JoinError>),
    Arrived(io::Result<TcpStream>),
}

/// What happens next. While there are as many connections as there may be, nobody arrives.
async fn next(
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    connections_max: usize,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) -> Event {
    poll_fn(|cx| {
        if shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Shutdown);
        }
        if let Poll::Ready(Some(ended)) = connections.poll_join_next(cx) {
            return Poll::Ready(Event::Ended(ended));
        }
        if connections.len() >= connections_max {
            return Poll::Pending;
        }
        listener.poll_accept(cx).map(|accepted| Event::Arrived(accepted.map(|(stream, _)| stream)))
    })
    .await
}

/// Whether a client left before it was accepted; the next one is not concerned.
pub(crate) fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// Ready once the process is asked to end, or its terminal has gone. From here on that no longer ends it by itself. Whoever began it with `nohup` has
/// said that it outlives its terminal.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    if !outlives_its_terminal()? {
        kinds.push(SignalKind::hangup());
    }
    let mut signals = kinds.into_iter().map(signal).collect::<io::Result<Vec<_>>>()?;
    Ok(poll_fn(move |cx| {
        let received = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
        if received { Poll::Ready(()) } else { Poll::Pending }
    }))
}

/// Whether this process was begun with `SIGHUP` ignored, the lowest bit of the mask in `/proc/self/status`.
fn outlives_its_terminal() -> io::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.map(|mask| mask & 1 == 1)
        .ok_or_else(|| io::Error::other("/proc/self/status does not say which signals are ignored"))
}
