//! Asks a broker who it is.
//!
//! A broker names itself in the first frame of a connection, which the driver keeps to itself. So a
//! connection of our own comes first: it also proves that the broker answers and lets us in, before a thread
//! of the driver waits for it. It ends in order, as a broker logs a warning about one that does not.

use std::pin::Pin;

use futures::{AsyncRead, AsyncWrite};
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::types::{AMQPValue, parsing::parse_field_table};
use lapin::uri::AMQPUri;

/// A broker as it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Like `RabbitMQ`.
    pub product: String,
    /// Major, minor and patch.
    pub version: (u32, u32, u32),
    /// Of the cluster or the node, if it tells.
    pub cluster_name: Option<String>,
}

const HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
const METHOD_FRAME: u8 = 1;
const FRAME_END: u8 = 0xCE;
/// Type, channel and size.
const FRAME_HEADER_BYTES: usize = 7;
/// Far more than a greeting takes.
const FRAME_BYTES_MAX: usize = 128 * 1024;
const CONNECTION_CLASS: u16 = 10;
const START: u16 = 10;
const START_OK: u16 = 11;
const TUNE: u16 = 30;
const TUNE_OK: u16 = 31;
const OPEN: u16 = 40;
const OPEN_OK: u16 = 41;
const CLOSE: u16 = 50;
const CLOSE_OK: u16 = 51;
/// Class and method before the arguments.
const METHOD_BYTES: usize = 4;

/// Connects, is let in, learns who it is, and leaves.
pub(super) async fn server(uri: &AMQPUri) -> Result<Server, String> {
    let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
    let tls = OwnedTLSConfig::default();
    let connected = uri.connect_with_config_async(tls.as_ref(), &runtime).await;
    let mut wire =
        Wire(connected.map_err(|error| format!("{}:{}: {error}", uri.authority.host, uri.authority.port))?);
    wire.write(HEADER).await?;
    let mut server = None;
    loop {
        let (method, arguments) = wire.method().await?;
        match method {
            START => {
                server = Some(named(&arguments)?);
                wire.send(START_OK, &start_ok(uri)).await?;
            }
            TUNE => {
                wire.send(TUNE_OK, &arguments).await?;
                let mut open = short_text(&uri.vhost)?;
                open.extend([0, 0]);
                wire.send(OPEN, &open).await?;
            }
            OPEN_OK => {
                let mut close = 200_u16.to_be_bytes().to_vec();
                close.extend(short_text("OK")?);
                close.extend([0; 4]);
                wire.send(CLOSE, &close).await?;
            }
            CLOSE => return Err(refusal(uri, &arguments)),
            CLOSE_OK => return server.ok_or_else(|| "the broker did not name itself".to_owned()),
            _ => return Err("the broker does not speak AMQP 0-9-1".to_owned()),
        }
    }
}

/// After two bytes of version the properties of the server.
fn named(arguments: &[u8]) -> Result<Server, String> {
    let table = arguments.get(2..).and_then(|table| parse_field_table(table).ok());
    let (_, properties) = table.ok_or_else(|| "the greeting of the broker is broken".to_owned())?;
    let text = |name: &str| match properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    Ok(Server {
        product: text("product").unwrap_or_else(|| "unknown".to_owned()),
        version: version(&text("version").unwrap_or_default()),
        cluster_name: text("cluster_name"),
    })
}

fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers =
        text.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

fn start_ok(uri: &AMQPUri) -> Vec<u8> {
    let login = &uri.authority.userinfo;
    let response = format!("\0{}\0{}", login.username, login.password);
    // Without this a broker does not say why it lets nobody in.
    let capability = b"\x1cauthentication_failure_closet\x01";
    let mut capabilities = u32::try_from(capability.len()).unwrap_or_default().to_be_bytes().to_vec();
    capabilities.extend(capability);
    let mut properties = b"\x0ccapabilitiesF".to_vec();
    properties.extend(capabilities);
    let mut arguments = u32::try_from(properties.len()).unwrap_or_default().to_be_bytes().to_vec();
    arguments.extend(properties);
    arguments.extend(b"\x05PLAIN");
    arguments.extend(u32::try_from(response.len()).unwrap_or_default().to_be_bytes());
    arguments.extend(response.as_bytes());
    arguments.extend(b"\x05en_US");
    arguments
}

fn short_text(text: &str) -> Result<Vec<u8>, String> {
    let length = u8::try_from(text.len()).map_err(|_| format!("'{text}' is longer than 255 bytes"))?;
    Ok([&[length], text.as_bytes()].concat())
}

/// The code and text of a `connection.close`.
fn refusal(uri: &AMQPUri, arguments: &[u8]) -> String {
    let length = arguments.get(2).copied().map(usize::from).unwrap_or_default();
    let text = arguments.get(3..3 + length).map(String::from_utf8_lossy).unwrap_or_default();
    format!(
        "the broker refuses user '{}' on virtual host '{}': {text}",
        uri.authority.userinfo.username, uri.vhost
    )
}

struct Wire<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn send(&mut self, method: u16, arguments: &[u8]) -> Result<(), String> {
        let size = u32::try_from(METHOD_BYTES + arguments.len()).map_err(|error| error.to_string())?;
        let mut frame = vec![METHOD_FRAME, 0, 0];
        frame.extend(size.to_be_bytes());
        frame.extend(CONNECTION_CLASS.to_be_bytes());
        frame.extend(method.to_be_bytes());
        frame.extend(arguments);
        frame.push(FRAME_END);
        self.write(&frame).await
    }

    /// The next method of the connection, and its arguments.
    async fn method(&mut self) -> Result<(u16, Vec<u8>), String> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.read(&mut header).await?;
        let [kind, _, _, size @ ..] = header;
        let size = usize::try_from(u32::from_be_bytes(size)).map_err(|error| error.to_string())?;
        if kind != METHOD_FRAME || !(METHOD_BYTES..FRAME_BYTES_MAX).contains(&size) {
            return Err("the broker does not speak AMQP 0-9-1".to_owned());
        }
        let mut payload = vec![0; size + 1];
        self.read(&mut payload).await?;
        payload.pop();
        let arguments = payload.split_off(METHOD_BYTES);
        match payload[..] {
            [0, 10, high, low] => Ok((u16::from_be_bytes([high, low]), arguments)),
            _ => Err("the broker does not speak AMQP 0-9-1".to_owned()),
        }
    }

    async fn read(&mut self, mut buffer: &mut [u8]) -> Result<(), String> {
        while !buffer.is_empty() {
            let read = std::future::poll_fn(|context| Pin::new(&mut self.0).poll_read(context, buffer)).await;
            match read.map_err(|error| error.to_string())? {
                0 => return Err("the broker closed the connection".to_owned()),
                count => buffer = &mut buffer[count..],
            }
        }
        Ok(())
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let written =
                std::future::poll_fn(|context| Pin::new(&mut self.0).poll_write(context, bytes)).await;
            match written.map_err(|error| error.to_string())? {
                0 => return Err("the broker closed the connection".to_owned()),
                count => bytes = &bytes[count..],
            }
        }
        let flushed = std::future::poll_fn(|context| Pin::new(&mut self.0).poll_flush(context)).await;
        flushed.map_err(|error| error.to_string())
    }
}
