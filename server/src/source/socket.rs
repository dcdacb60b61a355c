//! A WebSocket to a vendor, as a client: text goes in and out, and every end has a reason in words without the URL, which may
//! hold a key.

use crate::outbound::use_ring;
use futures::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// The longest message that is read: vendors put some thousands of trades into one.
const MOST_BYTES: usize = 8 << 20;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub(super) struct Socket(WebSocketStream<Box<dyn Wire>>);

/// Connects, by TLS with the system's certificates where the URL says `wss`.
///
/// # Errors
/// The reason.
pub(super) async fn connect(url: &Url) -> Result<Socket, String> {
    match timeout(CONNECT_WITHIN, open(url)).await {
        Ok(socket) => socket,
        Err(_) => Err(format!("no connection within {} s", CONNECT_WITHIN.as_secs())),
    }
}

async fn open(url: &Url) -> Result<Socket, String> {
    let host = url.host_str().ok_or("the URL names no host")?;
    let port = url.port_or_known_default().ok_or("the URL names no port")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((bare, port)).await.map_err(|error| format!("{host}:{port}: {error}"))?;
    let _ = tcp.set_nodelay(true);
    let wire: Box<dyn Wire> = if url.scheme() == "wss" {
        use_ring();
        let config = rustls::ClientConfig::with_platform_verifier().map_err(|error| error.to_string())?;
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::new(config));
        Box::new(connector.connect(name, tcp).await.map_err(|error| format!("{host}:{port}: {error}"))?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
    let shaken = client_async_with_config(url.as_str(), wire, Some(config)).await;
    shaken.map(|(socket, _)| Socket(socket)).map_err(|error| reason(&error))
}

impl Socket {
    /// The next text; `None`: something else, which is a sign of life.
    ///
    /// # Errors
    /// The connection has ended, and why.
    pub(super) async fn next(&mut self) -> Result<Option<String>, String> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
            Some(Ok(Message::Close(frame))) => Err(frame.map_or_else(
                || "closed without a reason".to_owned(),
                |frame| format!("closed with {} {}", frame.code, frame.reason),
            )),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(reason(&error)),
            None => Err("the connection ended".to_owned()),
        }
    }

    pub(super) async fn send(&mut self, text: String) -> Result<(), String> {
        self.put(Message::text(text)).await
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), String> {
        self.put(Message::Ping(Vec::new().into())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), String> {
        match timeout(SEND_WITHIN, self.0.send(message)).await {
            Ok(sent) => sent.map_err(|error| reason(&error)),
            Err(_) => Err(format!("it took nothing for {} s", SEND_WITHIN.as_secs())),
        }
    }

    /// Says good-bye, without waiting for an answer.
    pub(super) async fn close(mut self) {
        let _ = timeout(SEND_WITHIN, self.0.close(None)).await;
    }
}

fn reason(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => format!("it answers {} instead of opening a socket", response.status()),
        error => error.to_string(),
    }
}
