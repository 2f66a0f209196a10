//! Which process listens on a port.

use std::fs;

/// The process of that name that listens there, if it can be seen. Looking into processes of other users
/// needs their rights.
pub fn process(port: u16, name: &str) -> Option<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let named = super::processes().filter(|id| is_named(*id, name));
    let mut owners: Vec<u32> = named.filter(|id| holds(*id, &sockets)).collect();
    // The parent comes before what it forked, which inherits the socket.
    owners.sort_unstable();
    owners.first().copied()
}

/// Inodes of the sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let fits = |row: &Vec<&str>| row.len() > 9 && row[1].ends_with(&suffix) && row[3] == LISTEN;
    rows.filter(fits).map(|row| row[9].to_owned()).collect()
}

fn is_named(id: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name)
}

fn holds(id: u32, sockets: &[String]) -> bool {
    let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| sockets.iter().any(|socket| target.to_str() == Some(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 00000000:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7041 1\n\
                     1: 0100007F:1628 0100007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 7042 1\n\
                     2: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4684 1\n";
        assert_eq!(listening(table, 5672), ["7041"]);
        assert_eq!(listening(table, 5432), ["4684"]);
    }
}
