//! `warren serve` as a process that a test starts, kills, freezes and starts again.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// A start that takes longer than this has failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at what does not announce itself.
const LOOK: Duration = Duration::from_millis(50);
/// Lines of the log that a failing test shows.
const TAIL: usize = 40;

/// Where engines find what they share.
#[derive(Debug, Clone)]
pub struct Setting {
    pub broker_url: String,
    pub prefix: String,
    pub store_url: String,
    /// Further variables of the environment.
    pub variables: Vec<(String, String)>,
}

/// One process.
pub struct Engine {
    setting: Setting,
    port: u16,
    log: PathBuf,
    process: Option<Child>,
}

impl Engine {
    /// Starts a process that writes its log to `log`. It may not be ready yet.
    pub fn start(setting: Setting, log: &Path) -> Self {
        let mut engine = Engine { setting, port: free_port(), log: log.to_owned(), process: None };
        engine.begin();
        engine
    }

    fn begin(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let Setting { broker_url, prefix, store_url, variables } = &self.setting;
        let process = Command::new(env!("CARGO_BIN_EXE_warren"))
            .arg("serve")
            .env("WARREN__BROKER__URL", broker_url)
            .env("WARREN__BROKER__PREFIX", prefix)
            .env("WARREN__STORE__URL", store_url)
            .env("WARREN__SERVER__PORT", self.port.to_string())
            .env(
                "RUST_LOG",
                std::env::var("WARREN_FAULTS_LOG").unwrap_or_else(|_| "warn,engine=info".to_owned()),
            )
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(process.expect("the binary is there"));
    }

    /// Where its API answers, also after a restart.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until it says that it takes work.
    pub async fn ready(&mut self) {
        let (began, url) = (Instant::now(), format!("{}/readyz", self.endpoint()));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(self.runs(), "`warren serve` has ended:\n{}", self.tail());
            assert!(began.elapsed() < READY_WITHIN, "{url} is not ready:\n{}", self.tail());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the process is there.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// SIGKILL: nothing is finished, nothing is flushed.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again at its address.
    pub fn restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// Starts it again at its address, with these variables of the environment.
    pub fn restart_with(&mut self, variables: Vec<(String, String)>) {
        self.setting.variables = variables;
        self.restart();
    }

    /// SIGSTOP: it stands still and knows nothing of it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on where it stood.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, as a service manager stops it. Answers whether it ended well.
    pub fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        self.process.take().is_some_and(|mut process| process.wait().is_ok_and(|status| status.success()))
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.as_ref().expect("it was started").id();
        let process = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id");
        rustix::process::kill_process(process, signal).expect("it runs");
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the end of {}:\n{}\n", self.log.display(), self.tail());
        }
    }
}

/// Below the range that the system gives to connections, so that it is still free after a kill.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 14_000 + u16::try_from(std::process::id() % 5_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
