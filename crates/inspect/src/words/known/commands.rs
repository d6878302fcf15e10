//! 8000 to 8999: the commands that are clients: `connect`, `inspect`, `replay`, `publish`.
//!
//! What the other side says of itself is in the message, with a number of its own if it is a gateway.

use super::row::{Goes, Known, table};

table! { COMMANDS:
    URL = 8001, "no URL of a WebSocket", [exit 2],
        "This is no URL of a WebSocket.",
        "The scheme is missing or another than ws, wss, http and https, or the URL has a fragment or spaces.",
        "Write such as ws://localhost:8080/quotes/BTC, in quotes where it has & or ?.";
    REQUEST = 8002, "request cannot be sent", [exit 2],
        "A header, origin, subprotocol or token cannot be sent as it is.",
        "It has line ends, spaces or other characters that HTTP does not allow there.",
        "Look at -H, --origin, --subprotocol and --token.";
    TRUST = 8003, "certificates cannot be read", [exit 5],
        "The certificates to believe cannot be read.",
        "The file of --cacert is not there or holds no certificate in PEM, or this system has none.",
        "Name a PEM file with --cacert FILE, or use --insecure.";
    RESOLVE = 8004, "host unknown", [exit 4],
        "The host's name has no address.",
        "It is misspelt, or known only in another network.",
        "Look with `getent hosts NAME`; an address can be written instead.";
    CONNECT = 8005, "cannot connect", [exit 4],
        "No address of the host accepts a connection.",
        "The server is not running, the port is another, or a firewall refuses.",
        "Is it running, and is the port right? `ss -ltn` on the server's machine lists what listens.";
    LOST = 8006, "connection lost", [exit 4],
        "The connection ended before the whole answer to the handshake had come.",
        "What listens there speaks neither WebSocket nor HTTP, or a proxy has nothing behind it.",
        "Ask with `curl -v` whether an HTTP server listens there.";
    TLS = 8007, "TLS failed", [exit 5],
        "TLS failed, mostly because the server's certificate is not believed.",
        "It is signed by an authority of your own, has expired, or is for another name.",
        "Believe its certificate with --cacert FILE, or any with --insecure.";
    NOT_TLS = 8008, "no TLS there", [exit 5],
        "What answered is no TLS.",
        "The port speaks plain HTTP, and the URL says wss or https.",
        "Try ws://, or the port that speaks TLS.";
    AUTHORITY = 8009, "certificate of an authority", [exit 5],
        "The server shows the certificate of an authority (CA:TRUE) as its own, which none may.",
        "`openssl req -x509` makes such a one unless it is told otherwise.",
        "Give the server one made with -addext basicConstraints=critical,CA:FALSE, or believe any with --insecure.";
    HANDSHAKE_REFUSED = 8010, "handshake refused", [exit 6],
        "The server answered, and the answer is no; it is shown whole.",
        "The status says why: 401 and 403 credentials or Origin, 404 the path, 426 the version, 200 no WebSocket here, 502 the server behind.",
        "Do what the answer asks for; `tidegate explain STATUS` says what it means to a handshake. If it has a TG number, explain that.";
    HTTP2_UNAVAILABLE = 8011, "no WebSockets over HTTP/2", [exit 6],
        "The server does not take WebSockets over HTTP/2.",
        "It did not choose h2 by ALPN, or its settings do not allow extended CONNECT (RFC 8441).",
        "Try --http 1.1.";
    NOT_WEBSOCKET = 8012, "no WebSocket server", [exit 6],
        "What answered is no WebSocket server: its answer says so, or is not HTTP.",
        "The path is another, or a plain HTTP server answers.",
        "Ask for it alone with `tidegate connect -i URL`.";
    TIME = 8013, "time is over", [exit 10],
        "It took longer than the time given.",
        "The host does not answer (a firewall drops), TLS is not spoken there, or the server accepts and says nothing.",
        "The message says what was awaited; --timeout gives more.";
    INPUT = 8016, "input cannot be read", [exit 1],
        "What was to be sent cannot be read.",
        "The file is not there, this user may not read it, or a line is too long or not UTF-8.",
        "Name another file; bytes are sent with /bin, /file or --binary.";
    OUTPUT = 8017, "output cannot be written", [exit 1],
        "stdout cannot be written.",
        "The disk is full, or what reads the pipe has failed.",
        "Make room. What was done before is done all the same.";

    ADMIN_URL = 8101, "no URL of an admin listener", [exit 2],
        "This is no URL of an admin listener.",
        "It is not http, has a path, a query or credentials.",
        "Write such as http://127.0.0.1:8081; the token goes into --token or TIDEGATE_ADMIN_TOKEN.";
    BAD_TOKEN = 8102, "token cannot be sent", [exit 2],
        "The token holds characters that no header has.",
        "A line end or a quotation mark was copied with it.",
        "Look at --token and TIDEGATE_ADMIN_TOKEN.";
    NOT_TEXT = 8103, "not UTF-8", [exit 2],
        "What is to be published as a text message is not UTF-8.",
        "It is binary, or text in another encoding.",
        "Publish it as it is with --binary.";
    UNREACHABLE = 8104, "admin listener not reached", [exit 4],
        "There is no connection to the admin listener.",
        "The gateway is not running, or its admin listener is at another address.",
        "tidegate serve starts one and prints the address; name it with --admin URL or TIDEGATE_ADMIN_URL.";
    NO_ANSWER = 8105, "no answer", [exit 1],
        "The connection ended without an answer: whether it was published is unknown.",
        "The gateway was ended, or a proxy between gave up.",
        "The gateway's log may say why. Follow the channel to see whether it came.";
    ADMIN_TIME = 8106, "admin listener too slow", [exit 10],
        "The admin listener did not accept or answer in time: whether it was published is unknown.",
        "The machine is overloaded, or a firewall drops what is sent.",
        "Look at `GET /live` of the admin listener, and follow the channel to see whether it came.";
    NOT_ADMIN = 8107, "no admin listener", [exit 1],
        "What answered is no admin listener.",
        "The URL is that of the public listener, or of another server.",
        "Name the admin listener with --admin URL or TIDEGATE_ADMIN_URL; by default it is http://127.0.0.1:8081.";
    REFUSED = 8108, "refused by the gateway", [exit 11],
        "The gateway refused it; its own sentence and number are shown.",
        "The status says why: 401 the token, 404 the channel, 409 a backend fills it, 413 its size, 429 its rate.",
        "`tidegate explain` with the number in the sentence.";
    FAILED = 8109, "the gateway failed", [exit 1],
        "The gateway could not do it; its own sentence and number are shown.",
        "It is ending, its disk is full, or a limit on numbers is reached.",
        "`tidegate explain` with the number in the sentence. Whether it was published may be unknown.";

    RECORDING_NAME = 8201, "name of a recording", [exit 2],
        "The file's name does not say what kind of recording it is.",
        "It does not end in .jsonl, .har or .pcapng, or this command writes or reads only some of them.",
        "Name it .jsonl, which every command reads and writes.";
    RECORDING_WRITE = 8202, "recording cannot be written", [exit 1],
        "The recording cannot be written.",
        "The folder is not there, this user may not write to it, or the disk is full.",
        "Name a file in a folder that can be written to and has room.";
    RECORDING_READ = 8203, "recording cannot be read", [exit 1],
        "The recording cannot be read.",
        "It is not there, this user may not read it, or it is larger than 1 GiB.",
        "Look at the name; a large recording is cut with `head`, if it is .jsonl.";
    RECORDING_BROKEN = 8204, "recording broken", [exit 1],
        "The recording is not what it should be from the place that is named.",
        "The program that wrote it was ended in the middle, or the file was edited.",
        "What came before that place has been shown. Cut it off there and read it again.";
    NOT_A_TARGET = 8205, "neither a URL nor a recording", [exit 2],
        "This is neither the URL of a WebSocket nor a recording.",
        "The scheme of the URL or the ending of the file is missing.",
        "Write such as ws://localhost:8080/chat, or name a file that ends in .jsonl or .har.";
    LISTEN = 8206, "cannot listen", [exit 1],
        "The local address cannot be listened on.",
        "Another program listens there, or it is no address of this machine.",
        "Name a free address with --listen 127.0.0.1:PORT.";
    NOT_IN_RECORDING = 8207, "no such connection in the recording", [exit 2],
        "The recording has no connection of this name.",
        "The name of --connection is misspelt, or of another recording.",
        "The message lists those that are there.";
    NOT_REPLAYABLE = 8208, "recording cannot be replayed", [exit 1],
        "The recording holds no WebSocket, or more connections than can be opened at a time.",
        "It is of something else, or of a busy gateway.",
        "`tidegate inspect FILE` shows what is in it; name one of them with --connection.";
    HIDDEN_CREDENTIALS = 8209, "credentials hidden in the recording", [exit 2],
        "The recording hides credentials that the request needs.",
        "Recordings are without credentials unless they were asked for.",
        "Give the URL with its path and query, and --connection where there are several.";
    VIEW = 8210, "the view failed", [exit 1],
        "The view cannot be shown on this terminal, or has failed.",
        "The terminal was closed, or does not take what is written to it.",
        "--plain writes lines instead.";
    GATEWAY_ODD = 8211, "gateway not understood", [exit 7],
        "The gateway said something that this program does not understand.",
        "The two are of different versions, or something else answers there.",
        "Use the program of the gateway's version; `tidegate --version` tells its own.";
}
