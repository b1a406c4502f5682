//! The real resolver against a name server of our own on loopback: what it asks, and what it makes of the answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use nisse_egress::{HickoryResolver, ResolveError, Resolver};
use tokio::net::UdpSocket;

type Records = HashMap<String, Vec<(u32, RData)>>;

/// Answers from `records`; gives its address and every question asked.
async fn name_server(records: Records) -> (SocketAddr, Arc<Mutex<Vec<(String, RecordType)>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok((count, from)) = socket.recv_from(&mut bytes).await {
            let query = Message::from_vec(&bytes[..count]).expect("a question");
            let question = query.queries[0].clone();
            let name = question.name().to_string().to_ascii_lowercase();
            log.lock().expect("no panic").push((name.clone(), question.query_type()));
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.add_query(question.clone());
            if !records.contains_key(&name) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            let mut next = name;
            while let Some(found) = records.get(&next) {
                let owner = Name::from_ascii(&next).expect("a name");
                next = String::new();
                for (ttl, data) in found {
                    if let RData::CNAME(target) = data {
                        next = target.to_string();
                    } else if data.record_type() != question.query_type() {
                        continue;
                    }
                    answer.add_answer(Record::from_rdata(owner.clone(), *ttl, data.clone()));
                }
            }
            socket.send_to(&answer.to_vec().expect("an answer"), from).await.ok();
        }
    });
    (address, asked)
}

fn records() -> Records {
    let a = |text: &str| RData::A(A(text.parse().expect("an address")));
    let aaaa = |text: &str| RData::AAAA(AAAA(text.parse().expect("an address")));
    let cname = |text: &str| RData::CNAME(CNAME(Name::from_ascii(text).expect("a name")));
    HashMap::from([
        ("api.example.com.".to_owned(), vec![(300, a("93.184.216.34")), (30, aaaa("2606:2800:220:1::1"))]),
        ("alias.example.com.".to_owned(), vec![(60, cname("inside.example.com."))]),
        ("inside.example.com.".to_owned(), vec![(5, a("10.1.2.3"))]),
        ("many.example.com.".to_owned(), (0..40).map(|last| (60, a(&format!("93.184.216.{last}")))).collect()),
        ("empty.example.com.".to_owned(), vec![]),
    ])
}

#[tokio::test]
async fn both_families_come_with_the_shortest_ttl() {
    let (server, asked) = name_server(records()).await;
    let resolver = HickoryResolver::new(&[server]);
    let answer = resolver.resolve("api.example.com").await.expect("an answer");
    let mut addresses: Vec<_> = answer.addresses.iter().map(ToString::to_string).collect();
    addresses.sort();
    assert_eq!(addresses, ["2606:2800:220:1::1", "93.184.216.34"]);
    assert_eq!(answer.ttl, Duration::from_secs(30));
    // Nothing is kept here: the cache that knows our limits stands in front.
    resolver.resolve("api.example.com").await.expect("an answer");
    assert_eq!(asked.lock().expect("no panic").len(), 4);
}

#[tokio::test]
async fn e5_a_chain_of_names_gives_the_addresses_at_its_end() {
    let (server, _) = name_server(records()).await;
    let answer = HickoryResolver::new(&[server]).resolve("alias.example.com").await.expect("an answer");
    assert_eq!(answer.addresses, ["10.1.2.3".parse::<std::net::IpAddr>().expect("an address")]);
    assert_eq!(answer.ttl, Duration::from_secs(5));
}

#[tokio::test]
async fn no_search_list_and_no_hosts_file_are_consulted() {
    let (server, asked) = name_server(records()).await;
    let resolver = HickoryResolver::new(&[server]);
    for name in ["nas", "missing.example.com", "ip6-loopback", "empty.example.com"] {
        assert_eq!(resolver.resolve(name).await, Err(ResolveError::NotFound), "{name}");
    }
    let mut names: Vec<String> = asked.lock().expect("no panic").iter().map(|(name, _)| name.clone()).collect();
    names.dedup();
    names.sort();
    names.dedup();
    assert_eq!(names, ["empty.example.com.", "ip6-loopback.", "missing.example.com.", "nas."]);
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let (server, _) = name_server(records()).await;
    let refused = HickoryResolver::new(&[server]).resolve("many.example.com").await;
    assert!(matches!(refused, Err(ResolveError::TooMany { count: 40 })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_server_is_given_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let server = silent.local_addr().expect("an address");
    let refused = HickoryResolver::new(&[server]).resolve("api.example.com").await;
    assert!(matches!(refused, Err(ResolveError::Unavailable(_))), "{refused:?}");
}
