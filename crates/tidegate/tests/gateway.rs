//! The gateway as a user meets it: `serve`, `publish` and `connect` together, `demo`, `check`, and bare
//! `tidegate`.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr};

use harness::{finish, run, signal, tidegate};

/// A gateway that runs until it is dropped.
struct Gateway {
    child: Option<Child>,
    /// What it printed at its start.
    lines: Vec<String>,
    stderr: BufReader<ChildStderr>,
    runtime: tempfile::TempDir,
}

impl Gateway {
    /// Starts it, and reads the lines up to one that contains `last`.
    fn start(arguments: &[&str], last: &str) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let mut command = tidegate(arguments);
        let mut child = command.env("XDG_RUNTIME_DIR", runtime.path()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(last)) {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
            lines.push(line);
        }
        Self { child: Some(child), lines, stderr, runtime }
    }

    /// The word that begins with this in what was printed.
    fn word(&self, prefix: &str) -> String {
        let words = self.lines.iter().flat_map(|line| line.split_whitespace());
        words.map(|word| word.trim_matches('\'')).find(|word| word.starts_with(prefix)).unwrap().to_owned()
    }

    fn end_by(mut self, name: &str) -> i32 {
        let child = self.child.take().unwrap();
        signal(&child, name);
        let code = finish(child).code;
        // Nothing that it logged is awaited.
        drop(self.stderr.fill_buf().map(<[u8]>::len));
        code
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn what_is_published_is_what_is_received() {
    let gateway = Gateway::start(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], "  admin ");
    let url = gateway.word("ws://");
    assert!(url.ends_with("/hello"), "{:?}", gateway.lines);
    let admin = gateway.word("http://127").replace("/hello", "");
    assert!(
        gateway.lines.concat().contains("tidegate publish hello 'first message' --admin "),
        "{:?}",
        gateway.lines
    );
    let admin_line = gateway.lines.iter().find(|line| line.contains("publish")).unwrap();
    let admin = admin_line.split_whitespace().last().unwrap_or(&admin).to_owned();

    let mut follower = tidegate(&["connect", &url, "-n", "2", "--json"]).spawn().unwrap();
    let stdin = follower.stdin.take();
    let mut stdout = BufReader::new(follower.stdout.take().unwrap());
    let mut open = String::new();
    stdout.read_line(&mut open).unwrap();
    assert!(open.contains("\"type\":\"open\""), "{open}");

    let mut command = tidegate(&["publish", "hello", "--lines", "--admin", &admin]);
    let mut publisher = command.env("XDG_RUNTIME_DIR", gateway.runtime.path()).spawn().unwrap();
    publisher.stdin.take().unwrap().write_all(b"first message\n{\"second\":2}\n").unwrap();
    let published = finish(publisher);
    assert_eq!((published.code, published.stderr.as_str()), (0, ""));
    assert!(published.stdout.lines().all(|line| line.ends_with("\t1")), "{}", published.stdout);

    let received: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(received[0]["payload"]["data"], "first message");
    assert_eq!(received[1]["payload"]["data"], "{\"second\":2}");
    drop(stdin);
    assert_eq!(finish(follower).code, 0);
    assert_eq!(gateway.end_by("INT"), 130);
}

#[test]
fn what_goes_over_a_connection_is_what_inspect_attached_shows() {
    let gateway = Gateway::start(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], "  admin ");
    let admin = gateway.word("http://127.0.0.1").replace("/hello", "");
    let admin_line = gateway.lines.iter().find(|line| line.contains("publish")).unwrap();
    let admin = admin_line.split_whitespace().last().unwrap_or(&admin).to_owned();
    let url = gateway.word("ws://");
    let mut command =
        tidegate(&["inspect", "--attach", &admin, "--json", "-n", "1", "--filter", "path:/hello"]);
    let mut inspect = command.env("XDG_RUNTIME_DIR", gateway.runtime.path()).spawn().unwrap();
    let mut stderr = BufReader::new(inspect.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("shows what happens on the gateway"), "{line}");
    // Whether it was there before what follows is not said: connections are opened until it has seen one end.
    let mut stdout = BufReader::new(inspect.stdout.take().unwrap());
    let seen = std::thread::spawn(move || {
        let mut lines = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut lines).map(|_| lines)
    });
    while !seen.is_finished() {
        let run = run(&["connect", &url, "--linger", "1ms"], "");
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let lines = seen.join().unwrap().unwrap();
    assert!(finish(inspect).code == 0 && lines.contains("\"type\":\"open\""), "{lines}");
    assert!(lines.contains("\"op\":\"close\"") && lines.contains("and the gateway answered"), "{lines}");
    assert_eq!(gateway.end_by("INT"), 130);
}

#[test]
fn a_wrong_token_is_refused_11() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gateway = Gateway::start(&arguments, "  admin ");
    let admin_line = gateway.lines.iter().find(|line| line.contains("publish")).unwrap();
    let admin = admin_line.split_whitespace().last().unwrap();
    let run = run(&["publish", "x", "y", "--admin", admin, "--token", "wrong"], "");
    assert_eq!(run.code, 11, "{}", run.stderr);
}

#[test]
fn the_demo_pushes() {
    let arguments = ["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gateway = Gateway::start(&arguments, "Ctrl-C");
    let url = gateway.word("ws://");
    assert!(url.ends_with("/machine.json"), "{:?}", gateway.lines);
    let run = run(&["connect", &url, "-n", "2", "--timeout", "20s"], "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    for line in run.stdout.lines() {
        let figures: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(figures["memory"].is_object(), "{line}");
    }
    assert_eq!(gateway.end_by("INT"), 130);
}

#[test]
fn a_taken_port_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let run = run(&[command, "--listen", &address, "--admin", "127.0.0.1:0"], "");
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("{address} is taken")), "{}", run.stderr);
    }
}

#[test]
fn configuration_3() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[route]]\npath = \"/x\"\nchanel = {}\n").unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [
        &["check", path][..],
        &["check", "/nonexistent/tidegate.toml"],
        &["serve", "--config", path],
        &["serve", "ftp://x"],
        &["serve", "--listen", "0.0.0.0:0"],
    ] {
        let run = run(arguments, "");
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?} {}", run.stderr);
    }
    let check = run(&["check", path], "");
    assert!(check.stderr.contains(":3:") && check.stderr.contains("channel"), "{}", check.stderr);
}

#[test]
fn a_configuration_that_holds_is_shown() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[route]]\npath = \"/chat/{room}\"\nchannel = {}\n").unwrap();
    let run = run(&["check", file.path().to_str().unwrap()], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.contains("/chat/{room}") && run.stdout.contains("limits"), "{}", run.stdout);
}

#[test]
fn alone_it_helps() {
    let alone = run(&[], "");
    assert_eq!((alone.code, alone.stderr.as_str()), (0, ""));
    assert!(alone.stdout.ends_with("tidegate demo\n") && alone.stdout.lines().count() < 12);
    let help = run(&["--help"], "");
    assert!(help.stdout.contains("Exit codes") && help.stdout.contains("130"), "{}", help.stdout);
}

/// The inspector in front of this server; gives its own URL.
fn inspect(url: &str, arguments: &[&str]) -> (Child, String) {
    let mut child = tidegate(&[&["inspect", url, "-n", "1"], arguments].concat()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.filter_map(|line| line.trim().strip_prefix("tidegate connect ").map(str::to_owned)).next();
    (child, address.expect("it says where it listens"))
}

#[test]
fn what_goes_to_a_gateway_over_tls_is_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("c.pem"), own.cert.pem()).unwrap();
    std::fs::write(path("k.pem"), own.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (path("c.pem"), path("k.pem"));
    let tls = ["--tls-certificate", certificate.as_str(), "--tls-key", key.as_str()];
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gateway = Gateway::start(&[&serve[..], &tls].concat(), "  admin ");
    let url = gateway.word("wss://").replace("127.0.0.1", "localhost");
    let (child, address) = inspect(&url, &["--cacert", &certificate]);
    let seen = run(&["connect", &address, "--subprotocol", "tidegate.v1", "-n", "1"], "");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let shown = finish(child);
    assert_eq!(shown.code, 0);
    for part in ["= open wss://localhost:", "subprotocol tidegate.v1", "\"type\":\"open\"", "= closed 1000"] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
    assert!(!shown.stdout.contains('✗'), "{}", shown.stdout);
    let (child, address) = inspect(&url, &[]);
    assert_eq!(run(&["connect", &address], "").code, 4, "nobody believes the certificate");
    assert_eq!(finish(child).code, 5);
}

#[test]
fn a_faulty_configuration_says_what_can_be_typed_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.toml");
    std::fs::write(&file, "listn = 1\n").expect("a file");
    let file = file.to_str().expect("a name");
    let run = run(&["serve", "--config", file], "");
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.starts_with("error[TG-1101]: "), "{}", run.stderr);
    assert!(run.stderr.contains("did you mean 'listen'? (TG-1104)\n"), "{}", run.stderr);
    assert!(run.stderr.ends_with(&format!("\n  next: tidegate check {file}\n")), "{}", run.stderr);
}

#[test]
fn a_faulty_command_line_says_what_can_be_typed_next() {
    let url = run(&["serve", "localhost:3000"], "");
    assert!(url.stderr.ends_with("(TG-1117)\n  next: tidegate explain TG-1117\n"), "{}", url.stderr);
    let flag = run(&["serve", "--lisen", "x"], "");
    assert_eq!(flag.code, 2, "{}", flag.stderr);
    assert!(
        flag.stderr.starts_with("error[TG-1001]: ") && flag.stderr.contains("'--listen'"),
        "{}",
        flag.stderr
    );
}
