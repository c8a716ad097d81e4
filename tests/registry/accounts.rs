//! Who lith is, and to whom it says so.

use std::sync::Arc;

use lith::transport::registry::{Credential, HostSettings, NoKeychain, Registries, Settings};

use super::scene::{OneHost, REPOSITORY, Scene, pull, reference, settings, stock, told};
use crate::support::registry::tls::Authority;
use crate::support::registry::token::{REFRESH, Rules};
use crate::support::registry::{Auth, Bearer, Fault, Options, PASSWORD, Registry, Request, USER, What};

const LAYERS: &[usize] = &[3000, 1_500_000];

fn password() -> Credential {
    Credential::Basic { user: USER.into(), password: PASSWORD.into() }
}

/// A scene whose keychain knows its registry.
fn scene(auth: Auth, credential: Credential) -> Scene {
    scene_with(auth, credential, LAYERS)
}

fn scene_with(auth: Auth, credential: Credential, layers: &[usize]) -> Scene {
    let mut scene = Scene::new(Options { auth, ..Options::default() }, layers);
    let keychain = OneHost { registry: scene.registry.host(), credential };
    scene.registries = Registries::new(settings(), Arc::new(keychain));
    scene
}

fn bearer(rules: Rules) -> Auth {
    Auth::Bearer(Bearer { rules, realm_host: Some("localhost"), uses: None })
}

/// Pushes, and pulls what was pushed.
#[track_caller]
fn there_and_back(scene: &Scene) {
    let lines = || scene.registry.requests().lines();
    scene.push().unwrap_or_else(|error| panic!("{}\n{}", told(&error), lines()));
    scene.check_registry(true);
    scene.pull().unwrap_or_else(|error| panic!("{}\n{}", told(&error), lines()));
    scene.check_store(true);
}

#[test]
fn all_ways_to_log_in() {
    let rules = Rules::default;
    for (auth, credential) in [
        (Auth::None, password()),
        (Auth::Basic, password()),
        (bearer(rules()), password()),
        (bearer(Rules { no_oauth: true, ..rules() }), password()),
        (bearer(Rules { access_token: true, ..rules() }), password()),
        (bearer(Rules { expires_in: Some(300), ..rules() }), password()),
        (bearer(rules()), Credential::Identity(REFRESH.into())),
        (bearer(Rules { access_token: true, ..rules() }), Credential::Identity(REFRESH.into())),
    ] {
        let scene = scene(auth, credential);
        there_and_back(&scene);
        let requests = scene.registry.requests();
        let tokens = requests.matching("*", "/token").filter(|request| request.status == Some(200));
        assert!(tokens.len() <= 3, "tokens are kept\n{}", requests.lines());
        let refused = requests.filter(|request| request.status == Some(401));
        assert!(refused.len() <= 4, "what a registry wants is remembered\n{}", requests.lines());
    }
}

#[test]
fn a_stranger_pulls_where_strangers_may() {
    let mut scene = scene(bearer(Rules { anonymous_pull: true, ..Rules::default() }), password());
    scene.registries = Registries::new(settings(), Arc::new(NoKeychain));
    scene.stock();
    scene.pull().unwrap();
    scene.check_store(true);
    let error = told(&scene.push_other().unwrap_err());
    assert!(error.contains(&scene.registry.host()) && error.contains("credential"), "{error}");
}

#[test]
fn who_is_refused_is_told_so_and_shows_no_secret() {
    let wrong = || Credential::Basic { user: USER.into(), password: "wrong-secret".into() };
    for auth in [Auth::Basic, bearer(Rules::default())] {
        let scene = scene(auth, wrong());
        scene.stock();
        for error in [scene.pull().unwrap_err(), scene.push_other().unwrap_err()] {
            let (text, debug) = (told(&error), format!("{error:?}"));
            assert!(text.contains(&scene.registry.host()) && text.contains("credential"), "{text}");
            assert!(!text.contains("wrong-secret") && !debug.contains("wrong-secret"), "{text} {debug}");
        }
        scene.check_store(false);
        assert!(
            scene.registry.requests().len() < 20,
            "a refusal is not asked again\n{}",
            scene.registry.requests().lines()
        );
    }
}

#[test]
fn a_token_that_expires_in_the_middle_is_renewed() {
    for uses in [1, 2, 3, 5] {
        let auth = Auth::Bearer(Bearer { rules: Rules::default(), realm_host: None, uses: Some(uses) });
        // One blob at a time: two could take the uses of a token from each other for ever.
        there_and_back(&scene_with(auth, password(), &[1_500_000]));
    }
}

#[test]
fn a_token_that_expires_while_a_blob_is_sent_is_renewed() {
    let scene = scene(bearer(Rules::default()), password());
    scene.registry.fault(Fault::on("PATCH", "/v2/*", What::Error(401, "UNAUTHORIZED", "expired")));
    scene.registry.fault(Fault::on("PUT", "/v2/*", What::Error(401, "UNAUTHORIZED", "expired")).nth(2));
    there_and_back(&scene);
    scene.registry.expire_tokens();
    scene.push_other().unwrap();
    scene.registry.state().check();
}

/// Requests that show who asks, to another host than the registry's and its token endpoint's.
fn leaked(request: &Request, registry: &Registry) -> bool {
    request.authorization.is_some() && request.host != registry.host() && request.path != "/token"
}

#[test]
fn a_credential_follows_no_redirect() {
    for auth in [Auth::Basic, bearer(Rules::default())] {
        let scene = scene(auth, password());
        scene.stock();
        let port = scene.registry.port();
        let cdn = What::Redirect(307, format!("http://localhost:{port}/cdn{{path}}"));
        scene.registry.fault(Fault::on("GET", "/v2/*/blobs/*", cdn).always());
        scene.pull().unwrap();
        scene.check_store(true);
        let requests = scene.registry.requests();
        assert_eq!(requests.matching("GET", "/cdn/*").len(), 3, "{}", requests.lines());
        assert!(requests.filter(|request| leaked(request, &scene.registry)).is_empty(), "{requests:?}");
    }
}

#[test]
fn a_credential_follows_no_upload_to_another_host() {
    for auth in [Auth::Basic, bearer(Rules::default())] {
        let scene = scene(auth, password());
        let location = format!("http://localhost:{}{{old}}", scene.registry.port());
        let elsewhere = What::Header("Location", Some(location));
        scene.registry.fault(Fault::on("POST", "/v2/*", elsewhere).always());
        // The other host wants to know who it is, and is not told.
        scene.push().unwrap_err();
        let requests = scene.registry.requests();
        assert!(requests.filter(|request| leaked(request, &scene.registry)).is_empty(), "{requests:?}");
        scene.check_registry(false);
    }
}

#[test]
fn a_credential_is_for_one_registry() {
    let mut scene = scene(Auth::Basic, password());
    let other = Registry::with(Options { auth: Auth::Basic, ..Options::default() });
    stock(&other, REPOSITORY, &scene.artifact, &scene.blobs);
    pull(&scene.registries, &reference(&other.name(REPOSITORY)), &scene.store).unwrap_err();
    // The same registry by another name.
    let localhost = format!("localhost:{}/{REPOSITORY}", scene.registry.port());
    scene.stock();
    pull(&scene.registries, &reference(&localhost), &scene.store).unwrap_err();
    scene.check_store(false);
    for requests in [other.requests(), scene.registry.requests()] {
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request.authorization.is_none()), "{requests:?}");
    }
    // A mirror that answers, and wants to know who asks.
    let host = HostSettings { mirrors: vec![other.host()], ..HostSettings::default() };
    let settings = Settings { hosts: [(scene.registry.host(), host)].into(), ..settings() };
    let keychain = OneHost { registry: scene.registry.host(), credential: password() };
    scene.registries = Registries::new(settings, Arc::new(keychain));
    scene.pull().unwrap();
    scene.check_store(true);
    assert!(other.requests().iter().all(|request| request.authorization.is_none()), "{:?}", other.requests());
}

#[test]
fn a_mirror_is_asked_first_and_believed_no_more() {
    let mut scene = Scene::new(Options::default(), LAYERS);
    let mirror = Registry::start();
    let host = HostSettings { mirrors: vec![mirror.host()], ..HostSettings::default() };
    let settings = Settings { hosts: [(scene.registry.host(), host)].into(), ..settings() };
    scene.registries = Registries::new(settings, Arc::new(NoKeychain));
    scene.stock();
    scene.pull().unwrap();
    assert!(!mirror.requests().is_empty(), "it is asked, and has nothing");
    scene.check_store(true);

    stock(&mirror, REPOSITORY, &scene.artifact, &scene.blobs);
    mirror.fault(Fault::on("GET", "/v2/*/blobs/*", What::WrongBytes).always());
    scene.store = lith::store::Store::open(&scene.dir.path().join("second")).unwrap();
    let whole = scene.pull().is_ok();
    scene.check_store(whole);

    mirror.behave();
    mirror.fault(Fault::on("GET", "/v2/*/blobs/*", What::Truncate(100)).always());
    scene.store = lith::store::Store::open(&scene.dir.path().join("cut")).unwrap();
    scene.pull().unwrap();
    scene.check_store(true);

    mirror.behave();
    scene.registry.forget_requests();
    scene.store = lith::store::Store::open(&scene.dir.path().join("third")).unwrap();
    scene.pull().unwrap();
    scene.check_store(true);
    assert_eq!(scene.registry.requests().sent(), 0, "{}", scene.registry.requests().lines());

    mirror.forget_requests();
    scene.push_other().unwrap();
    assert!(mirror.requests().is_empty(), "nothing is pushed to a mirror\n{}", mirror.requests().lines());
}

/// A scene over TLS, and the authority.
fn secure(options: Options) -> (Scene, Authority) {
    let authority = Authority::new();
    let scene = Scene::new(Options { tls: Some(authority.loopback()), ..options }, LAYERS);
    (scene, authority)
}

fn trust(scene: &mut Scene, authority: &Authority, host: HostSettings) {
    let file = scene.dir.path().join("ca.crt");
    std::fs::write(&file, authority.pem()).unwrap();
    let settings = Settings { ca: vec![file], hosts: [(scene.registry.host(), host)].into(), ..settings() };
    scene.registries = Registries::new(settings, Arc::new(NoKeychain));
}

#[test]
fn tls_with_an_authority_of_its_own() {
    let (mut scene, authority) = secure(Options::default());
    trust(&mut scene, &authority, HostSettings::default());
    there_and_back(&scene);
}

#[test]
fn a_certificate_that_nobody_trusts_is_an_error() {
    let (mut scene, _) = secure(Options::default());
    scene.stock();
    for _ in 0..2 {
        let error = told(&scene.pull().unwrap_err());
        assert!(error.contains(&scene.registry.host()) && error.contains("TLS"), "{error}");
        assert!(scene.registry.requests().is_empty(), "nothing is asked of a stranger");
        trust(&mut scene, &Authority::new(), HostSettings::default());
    }
    scene.check_store(false);
}

#[test]
fn a_certificate_for_another_host_is_an_error() {
    let authority = Authority::new();
    let tls = Some(authority.identity(&["registry.example"]));
    let mut scene = Scene::new(Options { tls, ..Options::default() }, LAYERS);
    scene.stock();
    trust(&mut scene, &authority, HostSettings::default());
    let error = told(&scene.pull().unwrap_err());
    assert!(error.contains("TLS"), "{error}");
}

#[test]
fn a_client_shows_its_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let tls = Some(authority.loopback().for_clients_of(&clients));
    let mut scene = Scene::new(Options { tls, ..Options::default() }, LAYERS);
    trust(&mut scene, &authority, HostSettings::default());
    scene.push().unwrap_err();
    let identity = clients.identity(&["lith"]);
    let files = (scene.dir.path().join("client.cert"), scene.dir.path().join("client.key"));
    std::fs::write(&files.0, identity.certificate_pem()).unwrap();
    std::fs::write(&files.1, identity.key_pem()).unwrap();
    trust(
        &mut scene,
        &authority,
        HostSettings { client_certificate: Some(files), ..HostSettings::default() },
    );
    there_and_back(&scene);
}

#[test]
fn https_leads_to_no_http() {
    let (mut scene, authority) = secure(Options::default());
    trust(&mut scene, &authority, HostSettings::default());
    scene.stock();
    let plain = Registry::start();
    stock(&plain, REPOSITORY, &scene.artifact, &scene.blobs);
    let location = format!("http://{}{{path}}", plain.host());
    for pattern in ["/v2/*/manifests/*", "/v2/*/blobs/*"] {
        scene.registry.fault(Fault::on("*", pattern, What::Redirect(307, location.clone())).always());
        let error = told(&scene.pull().unwrap_err());
        assert!(error.contains(&scene.registry.host()), "{error}");
        scene.check_store(false);
        scene.registry.behave();
    }
    let elsewhere = What::Header("Location", Some(format!("http://{}/v2/x/blobs/uploads/1", plain.host())));
    scene.registry.fault(Fault::on("POST", "/v2/*", elsewhere).always());
    scene.push_other().unwrap_err();
    assert!(plain.requests().is_empty(), "{}", plain.requests().lines());
}
