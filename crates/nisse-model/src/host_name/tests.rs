//! One normal form for each name, and a refusal of whatever two parsers could read differently.

use super::*;

fn host(text: &str) -> Result<String, HostNameError> {
    text.parse::<HostName>().map(|host| host.to_string())
}

#[test]
fn letter_case_and_script_have_one_normal_form() {
    for (text, normal) in [
        ("api.example.org", "api.example.org"),
        ("API.Example.ORG", "api.example.org"),
        ("m\u{fc}nchen.de", "xn--mnchen-3ya.de"),
        ("M\u{dc}NCHEN.de", "xn--mnchen-3ya.de"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("stra\u{df}e.de", "xn--strae-oqa.de"),
        ("r3---sn-4g5e6nz7.googlevideo.com", "r3---sn-4g5e6nz7.googlevideo.com"),
        ("\u{4f8b}\u{3048}.jp", "xn--r8jz45g.jp"),
    ] {
        assert_eq!(host(text).as_deref(), Ok(normal), "{text}");
    }
}

#[test]
fn what_parsers_read_differently_is_refused() {
    for text in [
        "",
        ".",
        "example",
        "example.org.",
        ".example.org",
        "a..b",
        "-a.org",
        "a-.org",
        "a_b.org",
        "a b.org",
        "127.0.0.1",
        "1.2.3",
        "0x7f.1",
        "example.0x1f",
        "example.0x",
        "[::1]",
        "::1",
        "fe80::1%eth0",
        "\u{2460}.example.org",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "api\u{ff0e}example.org",
        "\u{430}pi.example.org",
        "xn--pi-6kc.example.org",
        "xn--a.example.org",
        "xn--.example.org",
        "ex\u{200d}ample.org",
        "ex\u{ad}ample.org",
        "localhost",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "x.onion",
        "1.0.0.127.in-addr.arpa",
        "*.example.org",
        "a@b.org",
        "a:1.org",
        "a/b.org",
        "\u{212a}.example.org",
    ] {
        assert!(host(text).is_err(), "{text:?} became {:?}", host(text));
    }
    assert!(host(&format!("{}.org", "a".repeat(64))).is_err());
    assert!(host(&format!("{}.org", "a".repeat(63))).is_ok());
    let long = ["abcdefg"; 32].join(".");
    assert!(host(&long[..253]).is_ok() && host(&long[..254]).is_err());
}

#[test]
fn a_wildcard_is_one_label_below_a_registered_name() {
    let pattern: HostPattern = "*.example.org".parse().expect("a pattern");
    let matches = |name: &str| pattern.matches(&name.parse().expect("a name"));
    assert!(matches("a.example.org"));
    assert!(!matches("example.org") && !matches("a.b.example.org") && !matches("evil-example.org"));
    for text in ["*", "*.", "*.org", "*.co.uk", "*.github.io", "*.*.example.org", "a.*.org", "a*.example.org"] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
}

#[test]
fn local_hosts_are_addresses_or_names_in_one_spelling() {
    for text in ["192.168.1.20", "[fd00::20]", "nas", "localhost", "nas.home.arpa", "mail.local"] {
        let parsed: LocalHost = text.parse().expect(text);
        assert_eq!(parsed.to_string(), text);
    }
    for text in
        ["fd00::20", "[192.168.1.20]", "[::ffff:10.0.0.1]", "192.168.001.20", "1.2", "0x7f000001", "[fe80::1%1]"]
    {
        assert!(text.parse::<LocalHost>().is_err(), "{text}");
    }
}
