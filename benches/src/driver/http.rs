//! HTTP/1.1, as much as a load generator needs: one connection that is kept, one request at a time.
//!
//! A full client costs several times as much CPU for each request, which on a machine that everybody shares
//! would be taken from what is measured.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{Context as _, Failure, Result};

/// Longest head and longest body that are taken.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A server's address and, once used, a connection to it.
#[derive(Debug)]
pub struct Http {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// Status and body.
#[derive(Debug)]
pub struct Answer {
    /// As sent.
    pub status: u16,
    /// As sent.
    pub body: Vec<u8>,
}

impl Http {
    /// To `HOST:PORT`.
    pub fn new(address: &str) -> Self {
        Http { address: address.to_owned(), stream: None, buffer: Vec::new() }
    }

    /// Asks with a method, a path, lines of headers and a body. After a failure the next request connects
    /// anew; this one is not tried again, it may have been worked.
    pub async fn call(&mut self, start: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        // Taken, so that a request that is cut off cannot leave its answer to the next one.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await.context(format!("connect to {}", self.address))?,
        };
        let length = body.len();
        let mut request = format!(
            "{start} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n",
            self.address
        )
        .into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).await?;
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read(&mut stream, &mut self.buffer, HEAD_BYTES_MAX).await?;
        };
        let head = Head::parse(&self.buffer[..head_end])?;
        while self.buffer.len() < head_end + head.length {
            read(&mut stream, &mut self.buffer, HEAD_BYTES_MAX + head.length).await?;
        }
        let body = self.buffer[head_end..head_end + head.length].to_vec();
        self.buffer.clear();
        if !head.close {
            self.stream = Some(stream);
        }
        Ok(Answer { status: head.status, body })
    }

    async fn connect(&mut self) -> Result<TcpStream> {
        self.buffer.clear();
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, bytes_max: usize) -> Result<()> {
    if buffer.len() > bytes_max {
        return Err(Failure::new("an answer longer than it may be"));
    }
    if stream.read_buf(buffer).await? == 0 {
        return Err(Failure::new("the server closed the connection"));
    }
    Ok(())
}

struct Head {
    status: u16,
    length: usize,
    close: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let (mut length, mut close) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                close = value.trim().eq_ignore_ascii_case("close");
            }
        }
        match (status, length) {
            (Some(status), Some(length)) if length <= BODY_BYTES_MAX => Ok(Head { status, length, close }),
            _ => Err(Failure::new("an answer without status or length")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_without_length_is_refused() {
        let head =
            Head::parse(b"HTTP/1.1 400 Bad Request\r\nContent-length: 12\r\nConnection: close\r\n\r\n");
        let head = head.unwrap();
        assert_eq!((head.status, head.length, head.close), (400, 12, true));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
