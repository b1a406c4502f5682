//! Cookies that agents set stay with the agent that set them.
//!
//! All agents of a node are names below one suffix. A cookie with a `Domain` would go to all of them, so that one agent
//! could log a visitor into another one's account: what it says of a domain is taken out, and the browser keeps the
//! cookie for the host that answered.

use http::{HeaderMap, HeaderValue, header};

/// Takes the `Domain` out of every cookie of an answer.
pub(crate) fn keep_to_their_host(headers: &mut HeaderMap) {
    let names_domain = |value: &HeaderValue| attributes(value.as_bytes()).skip(1).any(is_domain);
    if !headers.get_all(header::SET_COOKIE).iter().any(names_domain) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        // What is left of a value is one.
        if let Ok(cookie) = HeaderValue::from_bytes(&without_domain(cookie.as_bytes())) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

fn attributes(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookie.split(|byte| *byte == b';')
}

/// As browsers read it (RFC 6265, section 5.2): any case, blanks around the name, with a value or without.
fn is_domain(attribute: &[u8]) -> bool {
    let name = attribute.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"domain")
}

fn without_domain(cookie: &[u8]) -> Vec<u8> {
    let kept = attributes(cookie).enumerate().filter(|(at, attribute)| *at == 0 || !is_domain(attribute));
    kept.map(|(_, attribute)| attribute).collect::<Vec<_>>().join(&b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cookies: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        keep_to_their_host(&mut headers);
        let kept = headers.get_all(header::SET_COOKIE).iter();
        kept.map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn a_cookie_loses_its_domain_and_nothing_else() {
        for (set, left) in [
            ("a=b; Domain=localhost; Path=/", "a=b; Path=/"),
            ("a=b;domain=.localhost", "a=b"),
            ("a=b; Secure;\tDOMAIN = localhost ;HttpOnly", "a=b; Secure;HttpOnly"),
            ("a=b; Domain", "a=b"),
            ("a=b; Domain=x; Domain=y", "a=b"),
            ("a=b; domain==x", "a=b"),
        ] {
            assert_eq!(kept(&[set]), [left], "{set}");
        }
    }

    #[test]
    fn a_cookie_without_a_domain_is_left_as_it_is() {
        let plain = ["a=b; Path=/; Max-Age=1", "domain=localhost; Secure", "a=\"x; y\"", "b"];
        assert_eq!(kept(&plain), plain);
        assert_eq!(kept(&["a=b; Domain=x", "c=d"]), ["a=b", "c=d"], "several keep their order");
    }
}
