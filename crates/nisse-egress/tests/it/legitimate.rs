//! Requests that people really make: none of them may be refused.

use nisse_egress::fake::FakeServer;
use nisse_model::NetworkRule;

use crate::world::{LONG, PUBLIC_V4, World};

/// `permission | scheme | authority | path`.
const REQUESTS: &str = "\
api.coingecko.com | https | api.coingecko.com | /api/v3/simple/price?ids=ethereum&vs_currencies=usd
api.coingecko.com | https | api.coingecko.com:443 | /api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=1
api.coingecko.com | https | API.CoinGecko.com | /api/v3/ping
pro-api.coinmarketcap.com | https | pro-api.coinmarketcap.com | /v1/cryptocurrency/quotes/latest?symbol=BTC,ETH
api.binance.com | https | api.binance.com | /api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D
api.kraken.com | https | api.kraken.com | /0/public/Ticker?pair=XBTUSD
api.github.com | https | api.github.com | /repos/rust-lang/rust/issues?state=open&per_page=100
raw.githubusercontent.com | https | raw.githubusercontent.com | /rust-lang/rust/HEAD/README.md
gist.github.com | https | gist.github.com | /a/b.git/info/refs?service=git-upload-pack
api.openai.com | https | api.openai.com | /v1/chat/completions
api.anthropic.com | https | api.anthropic.com | /v1/messages
generativelanguage.googleapis.com | https | generativelanguage.googleapis.com | /v1beta/models/gemini-pro:generateContent?key=A_b-c
api.telegram.org | https | api.telegram.org | /bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/sendMessage
slack.com | https | slack.com | /api/chat.postMessage
hooks.slack.com | https | hooks.slack.com | /services/T00000000/B00000000/XXXXXXXX
discord.com | https | discord.com | /api/webhooks/1/abc_def-ghi?wait=true
graph.microsoft.com | https | graph.microsoft.com | /v1.0/me/messages?$filter=isRead%20eq%20false&$top=10
www.googleapis.com | https | www.googleapis.com | /calendar/v3/calendars/me%40example.org/events
oauth2.googleapis.com | https | oauth2.googleapis.com | /token
accounts.google.com | https | accounts.google.com | /.well-known/openid-configuration
api.notion.com | https | api.notion.com | /v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5
api.stripe.com | https | api.stripe.com | /v1/charges?limit=3&starting_after=ch_1
api.twilio.com | https | api.twilio.com | /2010-04-01/Accounts/AC1/Messages.json
api.weather.gov | https | api.weather.gov | /gridpoints/TOP/31,80/forecast
api.open-meteo.com | https | api.open-meteo.com | /v1/forecast?latitude=52.52&longitude=13.41&hourly=temperature_2m
api.met.no | https | api.met.no | /weatherapi/locationforecast/2.0/compact?lat=60.10&lon=9.58
nominatim.openstreetmap.org | https | nominatim.openstreetmap.org | /search?q=135+pilkington+avenue,+birmingham&format=json
tile.openstreetmap.org | https | tile.openstreetmap.org | /12/2046/1362.png
overpass-api.de | https | overpass-api.de | /api/interpreter?data=[out:json];node(1);out;
en.wikipedia.org | https | en.wikipedia.org | /wiki/Rust_(programming_language)
en.wikipedia.org | https | en.wikipedia.org | /w/api.php?action=query&titles=A|B&format=json
de.wikipedia.org | https | de.wikipedia.org | /wiki/M%C3%BCnchen
query.wikidata.org | https | query.wikidata.org | /sparql?query=SELECT%20%3Fs%20WHERE%20%7B%7D
commons.wikimedia.org | https | commons.wikimedia.org | /wiki/File:Example.svg
news.ycombinator.com | https | news.ycombinator.com | /item?id=1
hacker-news.firebaseio.com | https | hacker-news.firebaseio.com | /v0/item/8863.json?print=pretty
export.arxiv.org | https | export.arxiv.org | /api/query?search_query=all:electron&start=0
www.ncbi.nlm.nih.gov | https | www.ncbi.nlm.nih.gov | /pmc/articles/PMC1/
data.sec.gov | https | data.sec.gov | /submissions/CIK0000320193.json
www.bbc.co.uk | https | www.bbc.co.uk | /news/rss.xml
feeds.bbci.co.uk | https | feeds.bbci.co.uk | /news/rss.xml
www.abc.net.au | https | www.abc.net.au | /news/feed/51120/rss.xml
www.asahi.co.jp | https | www.asahi.co.jp | /
www.gov.br | https | www.gov.br | /pt-br
gateway.pinata.cloud | https | gateway.pinata.cloud | /ipfs/bafkreigh2akiscaildc2
ipfs.io | https | ipfs.io | /ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG/readme
trustless-gateway.link | https | trustless-gateway.link | /ipfs/bafy?format=car&dag-scope=all
delegated-ipfs.dev | https | delegated-ipfs.dev | /routing/v1/providers/bafy
w3s.link | https | w3s.link | /ipfs/bafy/a%20b.txt
bafybeigdyrzt5sfp7udm7hu76uh7y26nf3.ipfs.dweb.link | https | bafybeigdyrzt5sfp7udm7hu76uh7y26nf3.ipfs.dweb.link | /
my-bucket.s3.amazonaws.com | https | my-bucket.s3.amazonaws.com | /key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab
my-bucket.s3.eu-west-1.amazonaws.com | https | my-bucket.s3.eu-west-1.amazonaws.com | /a/b/c
storage.googleapis.com | https | storage.googleapis.com | /bucket/o/a%2Fb?alt=media
account.blob.core.windows.net | https | account.blob.core.windows.net | /c/b?sv=2020-08-04&sig=a%2Bb%3D
user.github.io | https | user.github.io | /page/
example.pages.dev | https | example.pages.dev | /
my-app.herokuapp.com | https | my-app.herokuapp.com | /
my-app.vercel.app | https | my-app.vercel.app | /api/x
worker.me.workers.dev | https | worker.me.workers.dev | /
r3---sn-4g5e6nz7.googlevideo.com | https | r3---sn-4g5e6nz7.googlevideo.com | /videoplayback?expire=1
eth-mainnet.g.alchemy.com | https | eth-mainnet.g.alchemy.com | /v2/key
mainnet.infura.io | https | mainnet.infura.io | /v3/key
arb1.arbitrum.io | https | arb1.arbitrum.io | /rpc
rpc.ankr.com | https | rpc.ankr.com | /eth
api.etherscan.io | https | api.etherscan.io | /v2/api?chainid=1&module=account&action=balance
matrix.org | https | matrix.org | /_matrix/client/v3/rooms/!abc:matrix.org/send/m.room.message/1
matrix-federation.matrix.org:8448 | https | matrix-federation.matrix.org:8448 | /_matrix/key/v2/server
mastodon.social | https | mastodon.social | /@user@example.org
mastodon.social | https | mastodon.social | /.well-known/webfinger?resource=acct:user@mastodon.social
bsky.social | https | bsky.social | /xrpc/com.atproto.server.createSession
plc.directory | https | plc.directory | /did:plc:ewvi7nxzyoun6zhxrhs64oiz
packages.example.org | https | packages.example.org | /@types%2Fnode
index.example.org | https | index.example.org | /se/rd/serde
simple.example.org | https | simple.example.org | /simple/requests/
images.example.org | https | images.example.org | /v2/library/alpine/manifests/sha256:abc
modules.example.org | https | modules.example.org | /github.com/!burnt!sushi/toml/@v/list
jars.example.org | https | jars.example.org | /maven2/org/x/maven-metadata.xml
hub.example.org | https | hub.example.org | /v2/
huggingface.co | https | huggingface.co | /api/models?search=bert&filter=pytorch
cdn.jsdelivr.net | https | cdn.jsdelivr.net | /npm/vue@3.4/dist/vue.global.js
unpkg.com | https | unpkg.com | /react@18/umd/react.production.min.js
fonts.googleapis.com | https | fonts.googleapis.com | /css?family=Open+Sans:400,700|Roboto
maps.googleapis.com | https | maps.googleapis.com | /maps/api/geocode/json?address=1600+Amphitheatre&key=x
api.deepl.com | https | api.deepl.com | /v2/translate
api.spotify.com | https | api.spotify.com | /v1/tracks/11dFghVXANMlKmJXsNCbNl
www.youtube.com | https | www.youtube.com | /watch?v=dQw4w9WgXcQ&t=42s
i.ytimg.com | https | i.ytimg.com | /vi/x/hqdefault.jpg
1.1.1.1.example.com | https | 1.1.1.1.example.com | /
3com.com | https | 3com.com | /
163.com | https | 163.com | /
1password.com | https | 1password.com | /
x.com | https | x.com | /
t.co | https | t.co | /AbCd
a.b.c.d.e.f.example.org | https | a.b.c.d.e.f.example.org | /
xn--mnchen-3ya.de | https | xn--mnchen-3ya.de | /
münchen.de | https | xn--mnchen-3ya.de | /
例え.jp | https | xn--r8jz45g.jp | /
пример.com | https | xn--e1afmkfd.com | /
xn--fiqs8s.example.com | https | xn--fiqs8s.example.com | /
http://neverssl.com | http | neverssl.com | /online
http://example.org | http | example.org:80 | /
http://example.org:8080 | http | example.org:8080 | /status
http://detectportal.firefox.com | http | detectportal.firefox.com | /success.txt
http://*.example.org:8080 | http | node-7.example.org:8080 | /metrics
example.org:8443 | https | example.org:8443 | /
example.org:65535 | https | example.org:65535 | /
*.example.org:1 | https | a.example.org:1 | /
example.org | https | example.org | 
example.org | https | example.org | /?
example.org | https | example.org | /?a=b&c=d;e=f&g
example.org | https | example.org | /a/../b/./c//d
example.org | https | example.org | /%2e%2e/%2F
example.org | https | example.org | /~user/(a)'b'!$&*+,;=:@
example.org | https | example.org | /q?x={\"a\":1}
example.org | https | example.org | /redirect?to=https://other.example.net/path?x=1
";

#[tokio::test]
async fn ordinary_requests_are_carried() {
    let mut count = 0;
    for line in REQUESTS.lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let (permission, scheme, authority) = (parts[0].trim(), parts[1].trim(), parts[2].trim());
        // Further bars belong to the path.
        let path = parts[3..].join("|").trim().to_owned();
        // A double quote has to be escaped; the guest's library does so.
        let path = path.replace('"', "%22");
        let rule: NetworkRule = permission.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let http = NetworkRule { scheme: nisse_model::NetworkScheme::Http, ..rule.clone() };
        // TLS has tests of its own; one certificate per name would only cost time here.
        let world = World::new(&[&format!("http://{}:{}", http.host, http.port)]);
        let host = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
        world.names.answer(&host, &[PUBLIC_V4], LONG);
        world.network.serve(&format!("{PUBLIC_V4}:{}", rule.port), FakeServer::ok("hello"));
        let explicit = format!("{host}:{}", rule.port);
        let sent = world.send(world.parts("http", &explicit, &path)).await;
        assert_eq!(sent.unwrap_or_else(|error| panic!("{line}: failed to {error}")), (200, "hello".to_owned()));
        // The permission as written matches the request as written.
        let target = nisse_egress::EgressTarget::parse(scheme, authority, &path).expect(line);
        let name = target.host_name().expect(line);
        assert!(rule.matches(target.scheme(), &name, target.port()), "{line}");
        count += 1;
    }
    assert!(count >= 100, "{count} requests");
}
