//! A host of HTTP/1.1 on a port of its own, which does as it is told and notes what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a host does with a connection once it has read a request.
pub enum Behaviour {
    /// Writes this and closes.
    Raw(Vec<u8>),
    /// Says nothing.
    Silence,
    /// Begins a body, and goes on with it a byte at a time.
    Drip,
    /// Sends a body without end.
    Endless,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.line.split([' ', '?']).nth(1).unwrap()
    }
}

/// An answer with a body.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Behaviour {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    Behaviour::Raw(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes(),
    )
}

type Answerer = dyn Fn(usize, &Received) -> Behaviour + Send + Sync;

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<Received>>,
    closed: Notify,
}

pub struct Host {
    pub address: SocketAddr,
    log: Arc<Log>,
}

impl Host {
    /// One that is told what to do with each request, of which there were so many before.
    pub async fn start(answerer: impl Fn(usize, &Received) -> Behaviour + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Host { address: listener.local_addr().unwrap(), log: Arc::default() };
        let (log, answerer, count) = (host.log.clone(), Arc::new(answerer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answerer, count) = (log.clone(), answerer.clone(), count.clone());
                tokio::spawn(async move { serve(stream, &log, answerer.as_ref(), &count).await });
            }
        });
        host
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The egress rule that lets it be called.
    pub fn rule(&self) -> String {
        self.url("")
    }

    pub fn requests(&self) -> Vec<Received> {
        self.log.requests.lock().unwrap().clone()
    }

    /// Waits until a caller has closed a connection that the host kept open.
    pub async fn closed(&self) {
        tokio::time::timeout(super::HANGS, self.log.closed.notified()).await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, log: &Log, answerer: &Answerer, count: &AtomicUsize) {
    let Some(request) = read(&mut stream).await else { return };
    log.requests.lock().unwrap().push(request.clone());
    let begin = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
    match answerer(count.fetch_add(1, Ordering::SeqCst), &request) {
        Behaviour::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            return;
        }
        Behaviour::Silence => while let Ok(1..) = stream.read(&mut [0; 64]).await {},
        Behaviour::Drip => {
            let _ = stream.write_all(begin).await;
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Behaviour::Endless => {
            let _ = stream.write_all(begin).await;
            while stream.write_all(&[b'.'; 8192]).await.is_ok() {}
        }
    }
    log.closed.notify_one();
}

/// A request with its body; `None` for what is none.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let mut lines = head.split("\r\n").map(str::to_owned);
            let line = lines.next()?;
            let headers: Vec<_> = lines
                .filter_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    Some((name.to_ascii_lowercase(), value.to_owned()))
                })
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length = length.map_or(Some(0), |(_, length)| length.parse().ok())?;
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).ok()?;
                return Some(Received { line, headers, body });
            }
        } else if bytes.first().is_some_and(|first| *first == 0x16) {
            // The beginning of TLS, which is not spoken here.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return None;
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
