//! Whether a step counts, and what it is known by.

use super::*;

#[test]
fn one_answer_that_is_not_recorded_is_enough() {
    let world = World::new();
    let count = AtomicUsize::new(0);
    let cut = response("200 OK", "Content-Length: 3000000", &"x".repeat(2_000_000));
    let origin = Origin::new(move |request| match request.split(' ').nth(1).unwrap() {
        "/turn" if count.fetch_add(1, Ordering::SeqCst) == 0 => response("401 Who", "Content-Length: 0", ""),
        "/turn" => ok("yes"),
        "/long" => cut.clone(),
        _ => response("500 No", "Content-Length: 0", ""),
    });
    for (path, again) in [("/turn", true), ("/long", false), ("/no", false)] {
        let running = world.recording();
        running.get(&origin.url(path));
        if again {
            assert_eq!(body(&running.get(&origin.url(path))), "yes");
        }
        let (entries, outcome) = running.finish();
        let status = entries[&origin.url(path)].status;
        assert_eq!((entries.len(), status == 200, outcome.unrecorded), (1, again, true), "{path}");
        assert_eq!(outcome.refused.len(), 1, "it is named");
    }
}

/// A port that refuses until it is listened at, and that nobody else is given meanwhile.
fn closed() -> TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    socket.into()
}

#[test]
fn what_could_not_be_had_is_not_to_be_had_later() {
    let world = World::new();
    let closed = closed();
    let busy = Origin::new(|_| response("503 No", "Retry-After: 7\r\nContent-Length: 4", "wait"));
    let urls = [
        format!("http://{}/t", closed.local_addr().unwrap()),
        "http://169.254.169.254/latest".into(),
        busy.url("/b"),
    ];
    let head = |url: &str| format!("HEAD {url} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let running = world.recording();
    let told = urls.each_ref().map(|url| [running.get(url), running.raw(&head(url))]);
    for [got, _] in &told[..2] {
        assert_eq!(got, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let (entries, outcome) = running.finish();
    assert_eq!((outcome.refused.len(), entries.len()), (6, 6), "{:?}", outcome.refused);
    for (name, entry) in &entries {
        assert_eq!(entry.status, if name.contains(&urls[2]) { 503 } else { 502 }, "{name}");
    }

    let options = Options { strict: true, ..World::options(Unknown::Refused) };
    let running = Running::start(Session::new(&world.store, entries.clone(), options));
    let again = urls.each_ref().map(|url| [running.get(url), running.raw(&head(url))]);
    assert_eq!(again[..2], told[..2], "the step sees the same");
    assert!(again[2][0].starts_with("HTTP/1.1 503 "), "{again:?}");
    let (used, outcome) = running.finish();
    assert_eq!(used, entries);
    assert!(outcome.missing.is_none() && outcome.refused.is_empty() && !outcome.unrecorded, "{outcome:?}");

    // A step that is recorded once more asks once more, for as long as there is nothing.
    let running = Running::start(Session::new(&world.store, entries, World::options(Unknown::Recorded)));
    rustix::net::listen(&closed, 8).unwrap();
    thread::spawn(move || {
        let mut stream = closed.accept().unwrap().0;
        read_request(&mut stream);
        stream.write_all(&ok("late")).unwrap();
    });
    assert_eq!(body(&running.get(&urls[0])), "late");
    assert_eq!(body(&running.get(&urls[0])), "late");
    running.get(&urls[2]);
    let (entries, _) = running.finish();
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert_eq!((entries[&urls[0]].status, entries[&urls[2]].status), (200, 503));
}

#[test]
fn damaged_bytes_are_not_given_and_the_step_does_not_count() {
    let world = World::new();
    let text = big();
    let digest = world.store.put(text.as_bytes()).unwrap();
    let good = LockedResponse {
        digest: Some(digest.clone()),
        size: Some(text.len() as u64),
        ..LockedResponse::of_status(200)
    };
    let url = "http://h/big";
    let broken = |response: &LockedResponse, ask: &dyn Fn(&Running) -> String| {
        let running = world.replaying(Entries::from([(url.to_owned(), response.clone())]));
        let answer = ask(&running);
        let broken = running.finish().1.broken;
        assert_eq!(broken.is_some(), answer.starts_with("HTTP/1.1 502 "), "{answer:.100}");
        broken
    };
    let get = |running: &Running| running.get(url);
    let part = |running: &Running| running.with(url, "Range: bytes=1000-1009\r\n");
    let head = |running: &Running| running.raw(&format!("HEAD {url} HTTP/1.1\r\nConnection: close\r\n\r\n"));
    let early = |running: &Running| {
        let mut stream = TcpStream::connect(running.address).unwrap();
        write!(stream, "GET {url} HTTP/1.1\r\n\r\n").unwrap();
        let mut start = [0; 20];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8_lossy(&start).into_owned()
    };
    let asks: [&dyn Fn(&Running) -> String; 4] = [&get, &part, &head, &early];
    for ask in asks {
        assert!(broken(&good, ask).is_none());
        for size in [0, 20, text.len() as u64 - 1, text.len() as u64 + 1] {
            let lying = LockedResponse { size: Some(size), ..good.clone() };
            assert!(matches!(broken(&lying, ask), Some(ProxyError::Damaged { .. })), "{size}");
        }
    }
    let path = world.store.blob_path(&digest);
    let mut damaged = text.clone().into_bytes();
    damaged[..8].copy_from_slice(b"DAMAGED!");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, damaged).unwrap();
    for ask in asks {
        assert!(matches!(broken(&good, ask), Some(ProxyError::Damaged { .. })));
    }
}

#[test]
fn a_step_is_known_by_what_it_was_told() {
    let world = World::new();
    let origin = Origin::new(|_| ok("hello"));
    let running = world.recording();
    running.get(&origin.url("/a"));
    let session = Arc::clone(&running.session);
    assert_eq!(session.key("step"), None, "it was never run");
    let (entries, outcome) = running.finish();
    let key = session.remember("step", &outcome.asked).unwrap();
    assert_eq!(session.key("step"), Some(key.clone()));
    let with = |entries: &Entries, unknown| {
        Session::new(&world.store, entries.clone(), World::options(unknown)).key("step")
    };
    assert_eq!(with(&entries, Unknown::Refused), Some(key.clone()));
    let mut more = entries.clone();
    more.insert("http://h/else".into(), LockedResponse::of_status(404));
    assert_eq!(with(&more, Unknown::Refused), Some(key.clone()), "what it did not ask for");
    let mut other = entries.clone();
    other.values_mut().for_each(|response| response.digest = Some(Digest::of(b"other")));
    assert_ne!(with(&other, Unknown::Refused), Some(key.clone()));
    assert_ne!(with(&Entries::new(), Unknown::Refused), Some(key));
    assert_eq!(with(&Entries::new(), Unknown::Recorded), None, "it is to be recorded");
    assert_eq!(session.key("another step"), None);
    let strict = Options { strict: true, ..World::options(Unknown::Refused) };
    let strict = |entries: Entries| Session::new(&world.store, entries, strict.clone()).key("step");
    assert_eq!(strict(Entries::new()), None, "it has to be known");
    assert_eq!(strict(entries), session.key("step"));
}
