//! The gateway as a client sees it.

use http::{Method, Request, Response, StatusCode};
use nisse_content::car::assemble;
use nisse_content::gateway::{Body, PIECE_BYTES_MAX, handle};
use nisse_content::{Profile, VerifiedBlock};
use nisse_model::ContentId;

use crate::support::{Home, Seeded, node};

fn ask(home: &Home, method: Method, target: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response: Response<Body> = handle(&home.store, &request.body(()).unwrap());
    let (head, body) = response.into_parts();
    let bytes: Vec<u8> = body.map(|piece| piece.unwrap()).collect::<Vec<_>>().concat();
    Response::from_parts(head, bytes)
}

fn get(home: &Home, target: &str) -> Response<Vec<u8>> {
    ask(home, Method::GET, target, &[])
}

fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn code(response: &Response<Vec<u8>>) -> (u16, String) {
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(header(response, "content-type"), "application/problem+json");
    assert_eq!(problem["status"], response.status().as_u16());
    (response.status().as_u16(), problem["code"].as_str().unwrap().to_owned())
}

fn pinned(bytes: &[u8]) -> (Home, ContentId) {
    let home = Home::new();
    let root = home.store.add_bytes(bytes, Profile::UnixFs2025).unwrap();
    home.store.pin("added/pinned", &[root]).unwrap();
    (home, root)
}

#[test]
fn a_file_is_answered_whole_and_in_part() {
    let bytes = Seeded::bytes("served", 2_500_000);
    let (home, root) = pinned(&bytes);
    let whole = get(&home, &format!("/ipfs/{root}"));
    assert!(whole.status() == StatusCode::OK && whole.body() == &bytes);
    assert_eq!(header(&whole, "content-length"), "2500000");
    assert_eq!(header(&whole, "cache-control"), "public, max-age=29030400, immutable");
    assert_eq!(header(&whole, "etag"), format!("\"{root}\""));
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1048575-1048576", 1_048_575, 1_048_577),
        ("bytes=2000000-", 2_000_000, 2_500_000),
        ("bytes=-5", 2_499_995, 2_500_000),
        ("bytes=10-99999999", 10, 2_500_000),
    ] {
        let part = ask(&home, Method::GET, &format!("/ipfs/{root}"), &[("range", range)]);
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(header(&part, "content-range"), format!("bytes {start}-{}/2500000", end - 1));
        assert!(part.body() == &bytes[start..end], "{range}");
    }
    let beyond = ask(&home, Method::GET, &format!("/ipfs/{root}"), &[("range", "bytes=2500000-")]);
    assert_eq!(code(&beyond), (416, "range-not-satisfiable".to_owned()));
    assert_eq!(header(&beyond, "content-range"), "bytes */2500000");
}

#[test]
fn bytes_of_strangers_are_never_interpreted() {
    let (home, root) = pinned(b"<script>alert(1)</script>");
    for target in [format!("/ipfs/{root}"), format!("/ipfs/{root}?format=raw"), "/ipfs/nonsense".to_owned()] {
        let response = get(&home, &target);
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert!(header(&response, "content-security-policy").starts_with("sandbox; default-src 'none'"));
    }
    let response = get(&home, &format!("/ipfs/{root}?filename=a.html"));
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert_eq!(header(&response, "content-disposition"), format!("attachment; filename=\"{root}\""));
}

#[test]
fn raw_and_car_are_asked_for_by_query_or_accept() {
    let bytes = Seeded::bytes("forms", 1_200_000);
    let (home, root) = pinned(&bytes);
    let target = format!("/ipfs/{root}");
    let block = home.store.get_block(&root).unwrap().unwrap();
    for (query, accept, content_type) in [
        ("?format=raw", "", "application/vnd.ipld.raw"),
        ("", "application/vnd.ipld.raw", "application/vnd.ipld.raw"),
        ("?format=raw", "application/vnd.ipld.car", "application/vnd.ipld.raw"),
        ("?format=car", "", "application/vnd.ipld.car; version=1; order=dfs; dups=n"),
        ("", "application/vnd.ipld.car; order=dfs; dups=n", "application/vnd.ipld.car; version=1; order=dfs; dups=n"),
        ("", "application/vnd.ipld.car;dups=y, application/vnd.ipld.raw;q=0.5", "application/vnd.ipld.raw"),
        ("", "text/html, */*;q=0.1", "application/octet-stream"),
    ] {
        let response = ask(&home, Method::GET, &format!("{target}{query}"), &[("accept", accept)]);
        assert_eq!(header(&response, "content-type"), content_type, "{query} {accept}");
        match content_type {
            "application/vnd.ipld.raw" => {
                let found = VerifiedBlock::check(root, response.body().as_slice()).unwrap();
                assert_eq!(found.bytes(), block.bytes());
            }
            "application/octet-stream" => assert!(response.body() == &bytes),
            _ => assert!(assemble(&mut &**response.body(), root, 2_000_000).unwrap() == bytes),
        }
    }
    let small = get(&home, &format!("{target}?format=car&dag-scope=block"));
    assert!(small.body().len() < 400);
}

#[test]
fn what_is_not_pinned_is_not_answered() {
    let home = Home::new();
    let root = home.store.add_bytes(b"held, but nobody vouches for it", Profile::UnixFs2025).unwrap();
    assert_eq!(code(&get(&home, &format!("/ipfs/{root}"))), (404, "content-not-held".to_owned()));
    home.store.pin("added/now", &[root]).unwrap();
    assert_eq!(get(&home, &format!("/ipfs/{root}")).status(), StatusCode::OK);
    home.store.unpin("added/now").unwrap();
    assert_eq!(get(&home, &format!("/ipfs/{root}")).status(), StatusCode::NOT_FOUND);
}

#[test]
fn what_is_kept_for_an_agent_is_not_answered_whoever_knows_its_cid() {
    let home = Home::new();
    let bytes = Seeded::bytes("state", 1_200_000);
    let root = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    let leaf = home.store.ls().into_iter().find(|block| block.bytes.0 == 1 << 20).unwrap().cid;
    let asked = |query: &str| {
        [root, leaf].map(|cid| get(&home, &format!("/ipfs/{cid}{query}"))).map(|answer| answer.status().as_u16())
    };
    for name in ["config/1", "state/1/2", "destroyed/1"] {
        home.store.pin(name, &[root]).unwrap();
        for query in ["", "?format=raw", "?format=car"] {
            assert_eq!(asked(query), [404, 404], "{name} {query}");
            let head = ask(&home, Method::HEAD, &format!("/ipfs/{root}{query}"), &[("if-none-match", "*")]);
            assert_eq!(head.status(), StatusCode::NOT_FOUND, "{name} {query}");
        }
    }
    home.store.pin("package/1", &[root]).unwrap();
    assert_eq!(asked("?format=raw"), [200, 200]);
    home.store.unpin("package/1").unwrap();
    assert_eq!(asked("?format=raw"), [404, 404], "what was answered a moment ago is not remembered");
}

#[test]
fn public_bytes_lead_to_nothing_that_is_kept_for_an_agent() {
    let home = Home::new();
    let secret = home.store.add_bytes(b"a secret", Profile::UnixFs2025).unwrap();
    home.store.pin("destroyed/1", &[secret]).unwrap();
    let file = node(&[(secret, "")], 2, b"", 8, &[8]);
    let folder = node(&[(secret, "a")], 1, b"", 0, &[]);
    for block in [&file, &folder] {
        let public = home.store.add_bytes(block.bytes(), Profile::UnixFs2025).unwrap();
        home.store.pin(&format!("added/{public}"), &[public]).unwrap();
    }
    assert_eq!(code(&get(&home, &format!("/ipfs/{}/a", folder.cid()))), (404, "content-not-held".to_owned()));
    for target in [format!("{}", file.cid()), format!("{}?format=car", folder.cid())] {
        let request = Request::builder().uri(format!("/ipfs/{target}")).body(()).unwrap();
        let pieces: Vec<_> = handle(&home.store, &request).into_body().collect();
        assert!(pieces.last().unwrap().is_err(), "{target}");
        let told: Vec<u8> = pieces.into_iter().flatten().flatten().collect();
        assert!(!told.windows(8).any(|bytes| bytes == b"a secret"), "{target}");
    }
}

#[test]
fn what_has_no_body_is_answered_from_the_index() {
    let (home, root) = pinned(b"hello");
    // Reading it would be an error.
    home.flip(0, 1);
    for query in ["", "?format=raw"] {
        let target = format!("/ipfs/{root}{query}");
        let head = ask(&home, Method::HEAD, &target, &[]);
        assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, "5"), "{query}");
        let head = ask(&home, Method::HEAD, &target, &[("range", "bytes=1-2")]);
        assert_eq!((head.status(), header(&head, "content-range")), (StatusCode::PARTIAL_CONTENT, "bytes 1-2/5"));
        let beyond = ask(&home, Method::GET, &target, &[("range", "bytes=5-")]);
        assert_eq!(code(&beyond), (416, "range-not-satisfiable".to_owned()));
    }
    assert_eq!(ask(&home, Method::HEAD, &format!("/ipfs/{root}?format=car"), &[]).status(), StatusCode::OK);
    assert_eq!(code(&get(&home, &format!("/ipfs/{root}"))), (500, "content-damaged".to_owned()));
    assert_eq!(ask(&home, Method::HEAD, &format!("/ipfs/{root}"), &[]).status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_block_is_read_and_hashed_once_for_all_its_parts() {
    let bytes = Seeded::bytes("parts", 1 << 20);
    let (home, root) = pinned(&bytes);
    let part = |range: &str| ask(&home, Method::GET, &format!("/ipfs/{root}?format=raw"), &[("range", range)]);
    assert_eq!(part("bytes=0-0").body(), &bytes[..1]);
    // Nobody reads the disk any more: what is on it now would be refused.
    home.flip(0, 1);
    assert_eq!(part("bytes=1048575-").body(), &bytes[1_048_575..]);
    assert!(get(&home, &format!("/ipfs/{root}")).body() == &bytes);
}

#[test]
fn bodies_come_in_pieces_that_hold_no_block() {
    let bytes = Seeded::bytes("pieces", 2_500_000);
    for profile in [Profile::UnixFs2025, Profile::UnixFs2015] {
        let home = Home::new();
        let root = home.store.add_bytes(&bytes, profile).unwrap();
        home.store.pin("added/1", &[root]).unwrap();
        for (query, range) in [("", "bytes=0-"), ("", "bytes=100000-2400000"), ("?format=car", ""), ("?format=raw", "")]
        {
            let request = Request::builder().uri(format!("/ipfs/{root}{query}")).header("range", range);
            let body = handle(&home.store, &request.body(()).unwrap()).into_body();
            let length = body.length();
            let pieces: Vec<usize> = body.map(|piece| piece.unwrap().len()).collect();
            assert!(pieces.iter().all(|piece| (1..=PIECE_BYTES_MAX).contains(piece)), "{query}: {pieces:?}");
            assert!(length.is_none_or(|length| length == pieces.iter().sum::<usize>() as u64), "{query}: {pieces:?}");
        }
    }
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_code() {
    let (home, root) = pinned(b"hello");
    let refused = |method: Method, target: &str, headers: &[(&str, &str)]| code(&ask(&home, method, target, headers));
    let target = format!("/ipfs/{root}");
    for (status, name, target) in [
        (400, "bad-cid", "/ipfs/".to_owned()),
        (400, "bad-cid", "/ipfs/QmNope".to_owned()),
        (400, "bad-cid", "/ipfs/bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".to_owned()),
        (404, "path-not-found", "/other".to_owned()),
        (404, "path-not-found", format!("{target}/below")),
        (400, "bad-path", format!("{target}/a%2")),
        (400, "bad-path", format!("{target}/%ff")),
        (400, "bad-path", format!("{target}/%2e%2e/x")),
        (400, "path-too-long", format!("{target}{}", "/x".repeat(33))),
        (414, "uri-too-long", format!("{target}/{}", "x".repeat(5000))),
        (400, "bad-format", format!("{target}?format=tar")),
        (400, "bad-dag-scope", format!("{target}?format=car&dag-scope=some")),
        (406, "not-acceptable", format!("{target}?format=car&car-dups=y")),
    ] {
        assert_eq!(refused(Method::GET, &target, &[]), (status, name.to_owned()), "{target}");
    }
    assert_eq!(refused(Method::GET, &target, &[("accept", "text/html")]), (406, "not-acceptable".to_owned()));
    assert_eq!(refused(Method::POST, &target, &[]), (405, "method-not-allowed".to_owned()));
    assert_eq!(header(&ask(&home, Method::PUT, &target, &[]), "allow"), "GET, HEAD");
}

#[test]
fn a_known_tag_is_answered_without_a_body() {
    let (home, root) = pinned(b"hello");
    let target = format!("/ipfs/{root}");
    for value in [format!("\"{root}\""), format!("W/\"x\", W/\"{root}\""), "*".to_owned()] {
        let response = ask(&home, Method::GET, &target, &[("if-none-match", &value)]);
        assert_eq!((response.status(), response.body().len()), (StatusCode::NOT_MODIFIED, 0), "{value}");
        assert_eq!(header(&response, "etag"), format!("\"{root}\""));
    }
    let response =
        ask(&home, Method::GET, &format!("{target}?format=raw"), &[("if-none-match", &format!("\"{root}\""))]);
    assert_eq!(response.status(), StatusCode::OK);
}

#[test]
fn head_answers_as_get_without_the_body() {
    let (home, root) = pinned(b"hello");
    let response = ask(&home, Method::HEAD, &format!("/ipfs/{root}"), &[]);
    assert_eq!(
        (response.status(), header(&response, "content-length"), response.body().len()),
        (StatusCode::OK, "5", 0)
    );
    let response = ask(&home, Method::HEAD, "/ipfs/nonsense", &[]);
    assert_eq!((response.status(), response.body().len()), (StatusCode::BAD_REQUEST, 0));
}

#[test]
fn a_path_leads_through_folders_and_a_car_of_it_proves_the_way() {
    let home = Home::new();
    let file = home.store.add_bytes(b"in a folder", Profile::UnixFs2025).unwrap();
    let folder = node(&[(file, "a b.txt")], 1, b"", 0, &[]);
    home.store.put_verified_block(folder.cid(), folder.bytes()).unwrap();
    home.store.pin("added/folder", &[folder.cid()]).unwrap();
    let target = format!("/ipfs/{}/a%20b.txt", folder.cid());
    let response = get(&home, &target);
    assert_eq!(response.body(), b"in a folder");
    assert_eq!(header(&response, "content-disposition"), "attachment; filename=\"a b.txt\"");
    assert_eq!(header(&response, "x-ipfs-roots"), format!("{},{file}", folder.cid()));
    let car = get(&home, &format!("{target}?format=car"));
    let find = |needle: &[u8]| car.body().windows(needle.len()).position(|window| window == needle);
    assert!(find(folder.bytes()).unwrap() < find(b"in a folder").unwrap());
    assert_eq!(code(&get(&home, &format!("/ipfs/{}/other", folder.cid()))), (404, "path-not-found".to_owned()));
    assert_eq!(code(&get(&home, &format!("/ipfs/{}", folder.cid()))), (406, "not-a-file".to_owned()));
}

#[test]
fn damaged_content_is_an_error_and_no_path_is_told() {
    let (home, root) = pinned(b"hello");
    home.flip(0, 1);
    for query in ["", "?format=raw", "?format=car"] {
        let response = get(&home, &format!("/ipfs/{root}{query}"));
        assert_eq!(code(&response), (500, "content-damaged".to_owned()));
        assert!(!String::from_utf8_lossy(response.body()).contains("pack"));
    }
}
