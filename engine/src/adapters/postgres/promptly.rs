//! Lets the kernel send at once what is written to the database.
//!
//! The driver leaves the sockets of its TCP connections as they are (sqlx 0.9.0; later releases set the option
//! themselves, and this file goes), and so the kernel holds back the end of a large request until the server has
//! acknowledged its beginning, which takes the server up to 40 ms. The driver does not hand out its sockets
//! either; so this finds them among the files of the process, by their peer's port.
//!
//! Where it cannot, requests are slower and nothing else changes.

use std::net::SocketAddr;

/// Sets `TCP_NODELAY` on all connections of this process to this port.
#[cfg(target_os = "linux")]
pub(super) fn send_promptly(port: u16) {
    if let Err(error) = linux::set(port) {
        tracing::debug!(%error, "large requests to the database may be slow");
    }
}

/// The option cannot be set here.
#[cfg(not(target_os = "linux"))]
pub(super) fn send_promptly(_port: u16) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{OwnedFd, RawFd};

    use rustix::net::{getpeername, sockopt};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    use super::SocketAddr;

    pub(super) fn set(port: u16) -> io::Result<()> {
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        for file in sockets()? {
            // It may be closed by now, or be another one: then it has no such peer.
            let Ok(socket) = pidfd_getfd(&own, file, PidfdGetfdFlags::empty()) else { continue };
            if peer_port(&socket) == Some(port) {
                sockopt::set_tcp_nodelay(&socket, true)?;
            }
        }
        Ok(())
    }

    fn peer_port(socket: &OwnedFd) -> Option<u16> {
        let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
        Some(peer.port())
    }

    fn sockets() -> io::Result<Vec<RawFd>> {
        let mut sockets = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let entry = entry?;
            let is_socket = std::fs::read_link(entry.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
            let number = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
            sockets.extend(number.filter(|_| is_socket));
        }
        Ok(sockets)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_connection_to_the_port_sends_at_once_and_others_are_left_alone() {
            let servers = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
            let [here, elsewhere] = servers
                .each_ref()
                .map(|server| std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap());
            set(servers[0].local_addr().unwrap().port()).unwrap();
            assert!(here.nodelay().unwrap());
            assert!(!elsewhere.nodelay().unwrap());
        }
    }
}
