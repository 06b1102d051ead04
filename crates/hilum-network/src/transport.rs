//! A connection: TCP, or TLS on it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::Error;

/// Bytes in both directions.
pub(crate) trait Transport: Read + Write + Send {
    /// The socket beneath; an exchange that was recorded has none.
    fn socket(&self) -> Option<&TcpStream>;
}

impl Transport for TcpStream {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Transport for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.sock)
    }
}

/// How a socket waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
}

/// Without TCP_NODELAY the last, small piece of a message waits for an acknowledgement that the peer delays: 16 images a
/// second instead of hundreds.
pub(crate) fn prepare(socket: &TcpStream, patience: Patience) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(patience.answer))?;
    socket.set_write_timeout(Some(patience.answer))
}

/// Has what comes next acknowledged at once. Peers that leave Nagle's algorithm on send the head of a PDU and hold its body
/// back until the head is acknowledged, which a system may put off for 40 ms. The setting wears off, so it is made again
/// before each wait; where it does not exist nothing is lost but time.
pub(crate) fn acknowledge_at_once(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::TcpStreamExt;
        let _ = socket.set_quickack(true);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Connects to the first address of the host that answers.
pub(crate) fn connect(
    host: &str,
    port: u16,
    tls: Option<(Arc<rustls::ClientConfig>, &str)>,
    patience: Patience,
) -> Result<Box<dyn Transport>, Error> {
    let unreachable = |reason| Error::Unreachable { address: format!("{host}:{port}"), reason };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs().map_err(unreachable)? {
        match TcpStream::connect_timeout(&address, patience.connect) {
            Ok(socket) => {
                prepare(&socket, patience).map_err(unreachable)?;
                return match tls {
                    None => Ok(Box::new(socket)),
                    Some((config, name)) => secure(socket, config, name),
                };
            }
            Err(reason) => last = reason,
        }
    }
    Err(unreachable(last))
}

fn secure(mut socket: TcpStream, config: Arc<rustls::ClientConfig>, name: &str) -> Result<Box<dyn Transport>, Error> {
    let name = rustls::pki_types::ServerName::try_from(name.to_owned())
        .map_err(|_| Error::Tls("the peer's name cannot stand in a certificate".into()))?;
    let mut connection = rustls::ClientConnection::new(config, name).map_err(|e| Error::Tls(e.to_string()))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|e| Error::Tls(e.to_string()))?;
    }
    Ok(Box::new(rustls::StreamOwned::new(connection, socket)))
}
