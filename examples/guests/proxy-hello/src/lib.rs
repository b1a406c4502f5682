//! Plain `wasi:http/incoming-handler`, without any of nisse's own interfaces.
use nisse_sdk::http;

struct Hello;

impl http::Serve for Hello {
    fn serve(_: http::Request) -> http::Response {
        http::Response::text(200, "hello\n")
    }
}

nisse_sdk::export!(Hello: http);
