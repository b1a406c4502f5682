use super::*;

fn rule(text: &str) -> SecretRule {
    text.parse().unwrap_or_else(|error| panic!("{text}: failed to {error}"))
}

#[test]
fn a_rule_prints_in_its_shortest_form() {
    for (text, printed) in [
        ("openai@api.openai.com", "openai@api.openai.com"),
        ("openai@API.openai.com:443;as=bearer;header=Authorization", "openai@api.openai.com"),
        ("shop@api.example.org:8443;header=X-API-Key;as=plain", "shop@api.example.org:8443;header=x-api-key"),
        ("a.b-c_1@example.org;as=basic", "a.b-c_1@example.org;as=basic"),
        ("a@example.org;header=x-key;as=bearer", "a@example.org;header=x-key;as=bearer"),
        ("a@example.org;header=cookie", "a@example.org;header=cookie"),
        ("a@example.org;path=/v1;method=POST+GET", "a@example.org;method=GET+POST;path=/v1"),
        ("a@example.org;path=/", "a@example.org;path=/"),
        ("a@example.org;path=/b+c=d,e:f@g/", "a@example.org;path=/b+c=d,e:f@g/"),
    ] {
        assert_eq!(rule(text).to_string(), printed);
        assert_eq!(rule(printed), rule(text));
    }
}

#[test]
fn a_rule_matches_its_host_port_method_and_path_alone() {
    let host = |text: &str| text.parse::<HostName>().expect("a name");
    let (api, other) = (host("api.example.org"), host("example.org"));
    let open = rule("a@api.example.org");
    assert!(open.matches(&api, 443, "BREW", "/any//../path%2f"), "without a path, every path");
    assert!(!open.matches(&other, 443, "GET", "/"));
    assert!(!open.matches(&host("x.api.example.org"), 443, "GET", "/"));
    assert!(!open.matches(&api, 8443, "GET", "/"));
    let bound = rule("a@api.example.org;method=GET+POST;path=/v1");
    assert!(bound.matches(&api, 443, "POST", "/v1/x"));
    for (method, path) in [("DELETE", "/v1/x"), ("get", "/v1/x"), ("GET", "/v2"), ("GET", "/")] {
        assert!(!bound.matches(&api, 443, method, path), "{method} {path}");
    }
}

#[test]
fn a_prefix_covers_whole_segments() {
    let covers = |prefix: &str, path: &str| prefix.parse::<PathPrefix>().expect(prefix).covers(path);
    for path in ["/v1", "/v1/", "/v1/x", "/v1/caf%C3%A9", "/v1/a%20b%3A", "/v1/.well-known/x..y/..z"] {
        assert!(covers("/v1", path), "{path}");
    }
    for path in ["/v10", "/v1.0", "/V1", "/v", "/", "", "/x/v1", "v1"] {
        assert!(!covers("/v1", path), "{path}");
    }
    assert!(covers("/v1/", "/v1/x") && covers("/v1/", "/v1/"));
    assert!(!covers("/v1/", "/v1"));
    assert!(covers("/", "/anything/at/all"));
}

#[test]
fn a_path_that_a_server_may_read_as_another_is_covered_by_none() {
    for path in [
        "/v1/..",
        "/v1/../admin",
        "/v1/./x",
        "/v1//x",
        "/v1//../x",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1%2fadmin",
        "/v1/%2F..",
        "/v1/%5c..",
        "/v1/\\..",
        "/v1/..;/admin",
        "/v1/x;y=/../..",
        "/v1/..%3b/admin",
        "/v1/%252e%252e/admin",
        "/v1/..%20/admin",
        "/v1/.../admin",
        "/v1/%c0%ae%c0%ae/admin",
        "/v1/%e0%80%ae/admin",
        "/v1/%00",
        "/v1/%0d%0a",
        "/v1/%3fx",
        "/v1/%",
        "/v1/%2",
        "/v1/%zz",
        "/v1/%u002e%u002e/admin",
    ] {
        for prefix in ["/v1", "/v1/", "/"] {
            assert!(!prefix.parse::<PathPrefix>().expect(prefix).covers(path), "{prefix} covers {path}");
        }
    }
}

#[test]
fn rules_clash_where_nothing_says_which_is_meant() {
    for (one, other, clash) in [
        ("a@example.org", "b@example.org", true),
        ("a@example.org;as=basic", "a@example.org", true),
        ("a@example.org;method=GET+POST", "b@example.org;method=POST+PUT", true),
        ("a@example.org;path=/v1;header=x-k", "b@example.org;header=x-k;path=/v1", true),
        ("a@example.org", "a@example.org", false),
        ("a@example.org", "b@example.org;method=GET", false),
        ("a@example.org", "b@example.org;path=/v1", false),
        ("a@example.org;method=GET", "b@example.org;method=POST", false),
        ("a@example.org", "b@example.org:8443", false),
        ("a@example.org", "b@www.example.org", false),
        ("a@example.org", "b@example.org;header=x-key", false),
    ] {
        assert_eq!(rule(one).clashes_with(&rule(other)), clash, "{one} and {other}");
        assert_eq!(rule(other).clashes_with(&rule(one)), clash, "{other} and {one}");
    }
}

#[test]
fn headers_that_frame_a_message_carry_no_secret() {
    for name in [
        "host",
        "Host",
        "content-length",
        "connection",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "expect",
        "accept-encoding",
        "range",
        "proxy-authorization",
        "Proxy-Anything",
        "",
        "x y",
        "x:",
        "ä",
        &"x".repeat(65),
    ] {
        let text = format!("a@example.org;header={name}");
        assert!(matches!(text.parse::<SecretRule>(), Err(SecretRuleError::Header { .. })), "{name}");
    }
}

#[test]
fn a_refusal_says_what_to_write() {
    let mut texts = String::new();
    for text in [
        "openai",
        "@example.org",
        "a b@example.org",
        "a@",
        "a@http://example.org",
        "a@https://example.org/v1",
        "a@*.example.org",
        "a@192.168.1.20",
        "a@nas",
        "a@localhost",
        "a@b@example.org",
        "a@example.org/v1",
        "a@example.org:0",
        "a@example.org;",
        "a@example.org;methods=GET",
        "a@example.org;as=Bearer",
        "a@example.org;as=",
        "a@example.org;method=get,post",
        "a@example.org;method=GET+GET",
        "a@example.org;method=GET;method=POST",
        "a@example.org;method=TRACE",
        "a@example.org;method=",
        "a@example.org;header=proxy-authorization",
        "a@example.org;path=v1",
        "a@example.org;path=/v1/../x",
        "a@example.org;path=//x",
        "a@example.org;path=/a%20b",
        "a@example.org;path=/a?b",
        "a@example.org;path=/a#b",
        "a@example.org;path=/a;b",
        "a@example.org;path=/a\\b",
    ] {
        let error = text.parse::<SecretRule>().expect_err(text);
        let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        texts.push_str(&format!("failed to {error}\n{hint}"));
    }
    insta::assert_snapshot!(texts, @r#"
    failed to find a host in `openai`: a secret is bound to one host, as NAME@HOST
      hint: write `secret:openai@HOST`
    failed to read "" as a secret's name: expected 1 to 64 letters, digits, dots, dashes or underscores
    failed to read "a b" as a secret's name: expected 1 to 64 letters, digits, dots, dashes or underscores
    failed to use an empty host
    failed to send a secret to `http://example.org`: a secret goes over https only, and no scheme is written
      hint: write only the host: `example.org`
    failed to send a secret to `https://example.org/v1`: a secret goes over https only, and no scheme is written
      hint: write only the host: `example.org`
    failed to send a secret to `*.example.org`: a secret is bound to exactly one host
      hint: write one `secret:` for each host that gets it
    failed to use `192.168.1.20` as a host: it is an IP address
      hint: name a public host; a secret is never sent into the local network
    failed to use `nas` as a public host: it has a single label
      hint: name a public host; a secret is never sent into the local network
    failed to use `localhost` as a public host: names under `localhost` are not public
      hint: name a public host; a secret is never sent into the local network
    failed to use `b@example.org` as a rule: `@example.org` does not belong to a host
      hint: write only the host: `b`
    failed to use `example.org/v1` as a rule: `/v1` does not belong to a host
      hint: write `example.org;path=/v1`
    failed to read `0` as a port: a number from 1 to 65535 is expected
    failed to read `` as a parameter: KEY=VALUE is expected
    failed to find the parameter "methods": expected one of header, as, method, path
      hint: did you mean `method=`?
    failed to find the form "Bearer": expected one of bearer, plain, basic
      hint: did you mean `as=bearer`?
    failed to find the form "": expected one of bearer, plain, basic
    failed to bind a secret to the method "get,post": expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, joined with `+`
      hint: write `method=GET+POST`
    failed to bind a secret to the method `GET` twice
    failed to use `method=` twice: each parameter stands at most once
      hint: join methods with `+`, as in `method=GET+POST`
    failed to bind a secret to the method "TRACE": expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, joined with `+`
    failed to bind a secret to the method "": expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, joined with `+`
    failed to put a secret into the header `proxy-authorization`: nisse writes this header itself, or sends none of it beside a secret
    failed to bind a secret to the path `v1`: it does not begin with `/`
      hint: write `path=/v1`
    failed to bind a secret to the path `/v1/../x`: it holds `//`, or a segment `.` or `..`, which servers read in different ways
    failed to bind a secret to the path `//x`: it holds `//`, or a segment `.` or `..`, which servers read in different ways
    failed to bind a secret to the path `/a%20b`: it holds a character that a path has only escaped, or that ends a path
    failed to bind a secret to the path `/a?b`: it holds a character that a path has only escaped, or that ends a path
    failed to bind a secret to the path `/a#b`: it holds a character that a path has only escaped, or that ends a path
    failed to read `b` as a parameter: KEY=VALUE is expected
    failed to bind a secret to the path `/a\b`: it holds a character that a path has only escaped, or that ends a path
    "#);
}
