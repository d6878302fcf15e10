//! TLS on the public listener, as clients that nobody here wrote meet it: curl, openssl, Python, and the binary's
//! own `connect`. Attacks on it are in the hostile suite.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustix::process::Signal;
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::{Gateway, binary, run};
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// An authority, and a certificate for `localhost` that it signed.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let mut authority = CertificateParams::default();
        // Of another name than what it signs, which would look as if it had signed itself.
        authority.distinguished_name.push(DnType::CommonName, "an authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate().expect("a key");
        let root = authority.self_signed(&authority_key).expect("a certificate");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let own = params.signed_by(&key, &Issuer::new(authority, authority_key)).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("a file in a temporary folder");
        };
        write("root.pem", root.pem());
        write("cert.pem", own.pem());
        write("key.pem", key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self) -> String {
        self.path("root.pem").display().to_string()
    }

    fn arguments(&self) -> [String; 4] {
        let path = |name: &str| self.path(name).display().to_string();
        ["--tls-certificate".to_owned(), path("cert.pem"), "--tls-key".to_owned(), path("key.pem")]
    }

    fn before(&self, backend: &Backend) -> Gateway {
        let arguments = self.arguments();
        Gateway::before(&backend.url(), &arguments.each_ref().map(String::as_str))
    }

    fn alone(&self) -> Gateway {
        let arguments = self.arguments();
        Gateway::alone(&arguments.each_ref().map(String::as_str))
    }
}

fn url(scheme: &str, gateway: &Gateway, path: &str) -> String {
    format!("{scheme}://localhost:{}{path}", gateway.public().port())
}

/// What a program prints to stdout, and whether it succeeded.
fn output(program: &Path, arguments: &[&str]) -> (String, bool) {
    let command = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = command.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (text.concat(), output.status.success())
}

#[test]
fn the_lines_at_the_start_say_https_and_our_own_client_connects() {
    let files = Files::new();
    let gateway = files.alone();
    let address = gateway.public();
    for line in [
        format!("tidegate listens on https://{address}"),
        format!("connect   tidegate connect wss://{address}/hello"),
        format!("https://{address}/hello"),
    ] {
        gateway.log().wait("a line of the start", |printed| printed.contains(&line).then_some(()));
    }
    let mut client = Command::new(binary());
    client.args(["connect", "-n", "1", "--cacert", &files.root(), &url("wss", &gateway, "/a")]);
    let mut client = Script::start(&mut client);
    gateway.wait_subscribers("a", 1);
    let listed = gateway.ask_admin(Request::get("/connections")).json();
    assert_eq!(listed["connections"][0]["tls"], "1.3");
    gateway.publish("a", "over TLS");
    assert_eq!(client.line("over TLS"), "over TLS");
    client.succeeded();
    gateway.wait_metric("tidegate_tls_handshakes_total", 1.0);
}

#[test]
fn curl_passes_through_and_streams() {
    let curl = need!(curl);
    let files = Files::new();
    let backend = Backend::start(|asked| {
        let said = ["x-forwarded-proto", "forwarded"].map(|name| asked.header(name).unwrap_or("").to_owned());
        Reply::ok(said.join("\n"))
    });
    let gateway = files.before(&backend);
    let root = files.root();
    let (text, _) = output(&curl, &["-sS", "--cacert", &root, &url("https", &gateway, "/page")]);
    let host = format!("localhost:{}", gateway.public().port());
    assert_eq!(text, format!("https\nfor=127.0.0.1;host=\"{host}\";proto=https"));
    // The page's own origin is the one with https.
    let status = |scheme: &str| {
        let origin = format!("Origin: {}", url(scheme, &gateway, ""));
        let page = url("https", &gateway, "/events");
        let fixed = ["-sS", "--cacert", &root, "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"];
        let fields = ["-H", "Accept: text/event-stream", "-H", &origin, &page];
        output(&curl, &[&fixed[..], &fields].concat()).0
    };
    assert!(status("http").starts_with("403"), "{}", status("http"));
    let channels = files.alone();
    let mut stream = Command::new(&curl);
    stream.args(["-sSN", "--cacert", &root, "-H", "Accept: text/event-stream"]);
    stream.arg("-H").arg(format!("Origin: {}", url("https", &channels, "")));
    let mut stream = Script::start(stream.arg(url("https", &channels, "/a")));
    channels.wait_subscribers("a", 1);
    channels.publish("a", "an event");
    assert_eq!(stream.line("an event"), "data: an event");
    let listed = channels.ask_admin(Request::get("/connections")).json();
    assert_eq!(listed["connections"][0]["door"], "event_stream");
    assert!(listed["connections"][0]["tls"].is_string(), "{listed}");
}

#[test]
fn openssl_gets_the_new_versions_and_not_the_old_ones() {
    let openssl = need!(openssl);
    let files = Files::new();
    let gateway = files.alone();
    let address = gateway.public().to_string();
    let ask = |more: &[&str]| {
        let fixed = ["s_client", "-connect", &address, "-CAfile", &files.root(), "-verify_return_error"];
        output(&openssl, &[&fixed, more].concat())
    };
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (text, done) = ask(&[version, "-alpn", "http/1.1"]);
        assert!(done && text.contains(name) && text.contains("ALPN protocol: http/1.1"), "{text}");
    }
    // The lowest security level, so that it is the gateway that refuses.
    for version in ["-tls1", "-tls1_1"] {
        let (text, done) = ask(&[version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(!done && text.contains(" alert "), "{version}: {text}");
    }
    let (text, done) = ask(&["-tls1_2", "-cipher", "AES128-SHA"]);
    assert!(!done && text.contains("alert handshake failure"), "no forward secrecy: {text}");
    let (text, done) = ask(&["-alpn", "spdy/3"]);
    assert!(!done && text.contains("alert no application protocol"), "{text}");
    gateway.wait_metric("tidegate_tls_handshake_failed_total{reason=\"incompatible\"}", 3.0);
    gateway.wait_metric("tidegate_tls_handshake_failed_total{reason=\"protocol\"}", 1.0);
    gateway.wait_metric("tidegate_tls_handshakes_total", 2.0);
}

/// What most first try: one command of openssl, whose default is an authority. Our client says so, and what it
/// advises works.
#[test]
fn a_certificate_that_openssl_made_by_itself_is_an_authority_until_it_is_told_otherwise() {
    let openssl = need!(openssl);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let serve = |constraints: &[&str]| {
        let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let whose = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
        let files = ["-keyout", &key, "-out", &certificate];
        let (text, done) = output(&openssl, &[&kind[..], &whose, &files, constraints].concat());
        assert!(done, "{text}");
        Gateway::alone(&["--tls-certificate", &certificate, "--tls-key", &key])
    };
    let gateway = serve(&[]);
    let ended = run(&["connect", "--cacert", &certificate, &url("wss", &gateway, "/a")]);
    assert_eq!(ended.code, Some(5), "{}", ended.printed);
    for words in ["the certificate of an authority (CA:TRUE)", "basicConstraints=CA:FALSE", "--insecure"] {
        assert!(ended.printed.contains(words), "{}", ended.printed);
    }
    drop(gateway);
    let gateway = serve(&["-addext", "basicConstraints=CA:FALSE"]);
    let mut client = Command::new(binary());
    client.args(["connect", "-n", "1", "--cacert", &certificate, &url("wss", &gateway, "/a")]);
    let mut client = Script::start(&mut client);
    gateway.wait_subscribers("a", 1);
    gateway.publish("a", "believed");
    assert_eq!(client.line("believed"), "believed");
    client.succeeded();
}

/// The whole stay of a WebSocket client that reports as the scripts do.
#[track_caller]
fn check_websocket(program: PathBuf, name: &str, trust: &str) {
    let document = Document::new(r#"{"n":1}"#);
    let kept = document.clone();
    let backend = Backend::start(move |asked| match asked.method.as_str() {
        "POST" => Reply::ok(format!("got {}", asked.text())),
        _ => kept.reply(asked),
    });
    let files = Files::new();
    let gateway = files.before(&backend);
    let folder = tidegate_test_tools::folder();
    let mut command = Command::new(program);
    command.arg(folder.join(name)).arg(url("wss", &gateway, "/x")).current_dir(folder);
    let mut client = Script::start(command.env(trust, files.path("root.pem")));
    assert_eq!(client.event("first")["data"], r#"{"n":1}"#);
    assert_eq!(client.event("answer")["data"], "got hello");
    document.set(r#"{"n":2}"#);
    assert_eq!(client.event("change")["data"], r#"{"n":2}"#);
    assert_eq!(client.event("closed")["code"], 1000);
    client.succeeded();
    gateway.wait_metric("tidegate_closes_total{code=\"1000\"}", 1.0);
}

#[test]
fn python_websockets() {
    check_websocket(need!(python), "python_websockets_asyncio.py", "SSL_CERT_FILE");
}

#[test]
fn node_ws() {
    check_websocket(need!(node), "node_ws.mjs", "NODE_EXTRA_CA_CERTS");
}

#[test]
fn a_drain_tells_clients_under_tls_too() {
    let files = Files::new();
    let gateway = files.alone();
    let mut client = Command::new(binary());
    client.args(["connect", "--json", "--cacert", &files.root(), &url("wss", &gateway, "/a")]);
    let mut client = Script::start(&mut client);
    gateway.wait_subscribers("a", 1);
    gateway.signal(Signal::TERM);
    let line = client.line("1012");
    assert!(line.contains("restarting"), "{line}");
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn a_pair_that_does_not_belong_together_does_not_start() {
    let (files, other) = (Files::new(), Files::new());
    let path = |files: &Files, name: &str| files.path(name).display().to_string();
    let (certificate, key) = (path(&files, "cert.pem"), path(&other, "key.pem"));
    let ended = run(&["serve", "--tls-certificate", &certificate, "--tls-key", &key]);
    assert_eq!(ended.code, Some(3), "{}", ended.printed);
    assert!(ended.printed.contains("is not the key of"), "{}", ended.printed);
}
