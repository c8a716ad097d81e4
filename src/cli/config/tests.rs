use super::super::error::told;
use super::*;

fn parse(text: &str) -> Result<Config, (String, Option<String>)> {
    Config::parse(Path::new("/etc/lith.toml"), text).map_err(|error| told(&error.into()))
}

#[test]
fn every_key_says_something() {
    let config = parse(
        r#"
        ca = ["company.pem", "/abs.pem"]
        certs-d = ["certs"]
        moving-tags = ["latest", "v*"]

        [registry."docker.io"]
        mirrors = ["mirror.example:5000", "other.example/proxy/hub"]

        [registry."localhost:5000"]
        insecure = true
        ca = "local.pem"
        client-certificate = "c.pem"
        client-key = "k.pem"
        moving-tags = []
        "#,
    )
    .unwrap();
    assert_eq!(config.ca, [PathBuf::from("/etc/company.pem"), "/abs.pem".into()]);
    assert_eq!(config.certs_d, Some(vec!["/etc/certs".into()]));
    assert_eq!(config.moving_tags("docker.io"), ["latest", "v*"]);
    assert!(config.moving_tags("localhost:5000").is_empty());
    let hosts = config.hosts();
    assert_eq!(hosts["docker.io"].mirrors, ["mirror.example:5000", "other.example/proxy/hub"]);
    let expected = HostSettings {
        mirrors: Vec::new(),
        insecure: true,
        ca: Some("/etc/local.pem".into()),
        client_certificate: Some(("/etc/c.pem".into(), "/etc/k.pem".into())),
    };
    assert_eq!(hosts["localhost:5000"], expected);
}

#[test]
fn an_empty_file_is_as_good_as_none() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().moving_tags("ghcr.io"), ["latest"]);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, error, hint) in [
        ("\nmoving-tag = []", "line 2: unknown key `moving-tag`", "did you mean `moving-tags`?"),
        (
            "colour = 1",
            "line 1: unknown key `colour`",
            "the keys here are ca, certs-d, moving-tags, registry",
        ),
        ("[registry.\"r.io\"]\ninsecur = true", "line 2: unknown key `insecur`", "did you mean `insecure`?"),
        ("[registry.\"r.io\"]\n\ninsecure = 1", "line 3: expected `true` or `false`, found integer", ""),
        ("ca = \"x\"", "line 1: expected an array of strings, found string", ""),
        ("ca = [\n\"\"]", "line 2: expected a string that is not empty, found string", ""),
        ("registry = 1", "line 1: expected a table, found integer", ""),
        ("[registry.localhost:5000]", "line 1: ", ""),
        ("[registry.r.io]", "line 1: `r` is not the name of a registry", "needs quotes"),
        (
            "[registry.\"https://r.io/v2/\"]",
            "line 1: `https://r.io/v2/` is not the name",
            "[registry.\"r.io\"]",
        ),
        (
            "[registry.\"r.io\"]\nclient-key = \"k\"",
            "`client-certificate` and `client-key` need each other",
            "",
        ),
        ("moving-tags = [\"[\"]", "line 1: ", ""),
        ("[registry.\"r.io\"]\nmirrors = [\"https://m.io\"]", "line 2: `https://m.io` is not a mirror", ""),
        ("[registry.\"r.io\"]\nmirrors = [\"m.io/../x?\"]", "line 2: `m.io/../x?` is not a mirror", ""),
        ("[registry.\"r.io\"]\nmirrors = [\"mirror\"]", "line 2: `mirror` is not a mirror", ""),
        ("a = = 1", "line 1: ", ""),
        ("x", "line 1: ", ""),
    ] {
        let (message, advice) = parse(text).unwrap_err();
        assert!(message.starts_with("`/etc/lith.toml`, line ") && message.contains(error), "{message}");
        assert!(advice.clone().unwrap_or_default().contains(hint), "{message}: {advice:?}");
    }
}

#[test]
fn only_a_file_that_was_named_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("config.toml");
    assert_eq!(Config::read(&missing, false).unwrap(), Config::default());
    let error = Config::read(&missing, true).unwrap_err();
    assert!(told(&error).0.starts_with("reading the configuration in `"));
    assert!(Config::read(folder.path(), false).is_err());
}

#[test]
fn every_key_is_explained() {
    let text = include_str!("../../../docs/configuration.md");
    let (general, own) = text.split_once("## Of one registry").expect("the heading of a registry's keys");
    for (keys, part) in [(&KEYS[..], general), (&HOST_KEYS[..], own)] {
        let explained: Vec<&str> =
            part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(explained, keys, "docs/configuration.md");
    }
}

#[test]
fn the_example_is_one() {
    let text = include_str!("../../../docs/configuration.md");
    let example =
        text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert!(parse(example).is_ok_and(|config| config != Config::default()));
}
