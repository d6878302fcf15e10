# A client by `faye-websocket`. Usage: URL. Tells what it sees as JSON lines on stdout.

require "eventmachine"
require "faye/websocket"
require "json"

def tell(event, **fields)
  puts JSON.generate({ event: event, **fields })
  $stdout.flush
end

names = %w[first answer change]
EM.run do
  socket = Faye::WebSocket::Client.new(ARGV[0])
  socket.on :message do |message|
    name = names.shift
    tell(name, data: message.data)
    socket.send("hello") if name == "first"
    socket.close(1000) if name == "change"
  end
  socket.on :error do |error|
    abort error.message
  end
  socket.on :close do |close|
    tell("closed", code: close.code)
    EM.stop
  end
end
