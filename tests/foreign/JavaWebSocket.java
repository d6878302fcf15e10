// A client by the JDK's own java.net.http.WebSocket, run from its source. Usage: URL. Tells what it sees as
// JSON lines on stdout.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

class JavaWebSocket implements WebSocket.Listener {
    private final Queue<String> names = new ArrayDeque<>(List.of("first", "answer", "change"));
    private final StringBuilder text = new StringBuilder();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();

    public static void main(String[] arguments) throws Exception {
        JavaWebSocket client = new JavaWebSocket();
        URI url = URI.create(arguments[0]);
        HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(url, client).get(20, TimeUnit.SECONDS);
        client.closed.get(20, TimeUnit.SECONDS);
    }

    private static void tell(String event, String field) {
        System.out.println("{\"event\":\"" + event + "\"," + field + "}");
        System.out.flush();
    }

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
        text.append(part);
        if (last) {
            String name = names.remove();
            tell(name, "\"data\":\"" + text.toString().replace("\"", "\\\"") + "\"");
            text.setLength(0);
            if (name.equals("first")) socket.sendText("hello", true);
            if (name.equals("change")) socket.sendClose(WebSocket.NORMAL_CLOSURE, "");
        }
        socket.request(1);
        return null;
    }

    @Override
    public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
        tell("closed", "\"code\":" + code);
        closed.complete(null);
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        closed.completeExceptionally(error);
    }
}
