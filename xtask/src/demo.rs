//! `cargo xtask demo`: a new user's first minute with the release binary; in a short check, with that of the tests.
//!
//! An empty home, an unprivileged user where this runs as root: `up --demo` must print a URL that answers a price,
//! go on answering after kill -9 and a second `up --demo`, and leave nothing running.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::check::{Length, say};
use crate::command::is_root;

/// The unprivileged user of the run where root builds.
const NOBODY: &str = "65534";
/// How long the demo may take to its first price.
const DEMO_MAX: Duration = Duration::from_secs(60);

/// Runs the demo twice over one home, with a kill between.
pub(crate) fn run(length: Length) -> anyhow::Result<()> {
    let built = length.program()?;
    let home = std::env::temp_dir().join(format!("nisse-demo-{}", std::process::id()));
    std::fs::create_dir_all(&home)?;
    let program = home.join("nisse");
    std::fs::copy(&built, &program).with_context(|| format!("copy {}", built.display()))?;
    if is_root() {
        let status = Command::new("chown").args(["-R", NOBODY]).arg(&home).status()?;
        ensure!(status.success(), "chown {}", home.display());
    }
    let result = first_and_second_run(&program, &home);
    let _ = std::fs::remove_dir_all(&home);
    result
}

fn first_and_second_run(program: &Path, home: &Path) -> anyhow::Result<()> {
    for (round, begins) in [("first run", "home          made in "), ("after kill -9", "home          resumed from ")] {
        let start = Instant::now();
        let mut demo = Demo::start(program, home)?;
        let (told, url) = demo.url()?;
        ensure!(told.contains(begins), "{round} tells nothing of `{begins}`:\n{told}");
        let answer = eventually_get(&url)?;
        let price = price(&answer).with_context(|| format!("{url} answered: {answer}"))?;
        say(&format!("{round}: {url} answered {price} after {:.1} s", start.elapsed().as_secs_f64()));
        demo.child.kill()?;
        demo.child.wait()?;
    }
    Ok(())
}

struct Demo {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Demo {
    fn start(program: &Path, home: &Path) -> anyhow::Result<Self> {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["up", "--demo", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir("/");
        let mut child = command.stdout(Stdio::piped()).spawn().context("start the demo")?;
        let lines = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, lines })
    }

    /// What was told up to the agent's URL, and the URL.
    fn url(&mut self) -> anyhow::Result<(String, String)> {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                let status = self.child.wait()?;
                bail!("the demo ended with {status} before it printed a URL:\n{seen}");
            }
            seen.push_str(&line);
            if let Some(at) = line.find("http://talos.oracle.price-eth") {
                let url = line[at..].split_whitespace().next().unwrap_or_default();
                return Ok((seen, url.to_owned()));
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually_get(url: &str) -> anyhow::Result<String> {
    let start = Instant::now();
    loop {
        match get(url) {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => return Ok(answer),
            other if start.elapsed() > DEMO_MAX => bail!("{url} did not answer a price: {other:?}"),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The price that the agent answers in its JSON.
fn price(answer: &str) -> anyhow::Result<f64> {
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    let body: serde_json::Value = serde_json::from_str(body).context("the body is not JSON")?;
    ensure!(body["pair"] == "ETH/USD", "it is no price of ETH");
    let price = body["price"].as_f64().context("its price is no number")?;
    ensure!(price.is_finite() && price > 0.0, "its price is {price}");
    Ok(price)
}

/// One request by hand: `localhost` names need no resolver here, and nothing is hidden.
fn get(url: &str) -> anyhow::Result<String> {
    let rest = url.strip_prefix("http://").context("an http URL")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
