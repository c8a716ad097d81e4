//! `RUN --device`.

use super::{Request, mount};
use crate::buildfile::{diagnostic::Diagnostic, syntax::Word, values};

/// `--device=name[,required]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    pub name: String,
    pub required: bool,
}

impl Device {
    pub(super) fn parse(request: &mut Request<'_>, word: &Word) -> Option<Self> {
        let mut device = Self::default();
        for field in mount::fields(request, word)? {
            if let Err(message) = device.field(&field.text) {
                return request.fail(Diagnostic::error("flag-value", field.span, message));
            }
        }
        Some(device)
    }

    fn field(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => self.required = true,
            ("required", Some(value)) => {
                self.required =
                    values::boolean(value).ok_or_else(|| format!("invalid value for `{key}`: `{value}`"))?;
            }
            ("name", Some(value)) if self.name.is_empty() => value.clone_into(&mut self.name),
            ("name", Some(_)) => return Err(format!("device name already set to `{}`", self.name)),
            _ if self.name.is_empty() => field.clone_into(&mut self.name),
            (_, None) => return Err(format!("invalid field `{field}` must be a `key=value` pair")),
            (_, Some(_)) => return Err(format!("unexpected key `{key}` in `{field}`")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::instruction::{
        Device, Run,
        tests::{errors, parsed},
    };

    #[test]
    fn devices() {
        let device = |flag: &str| parsed::<Run>(&format!("RUN --device={flag} a")).devices.remove(0);
        let expected = |name: &str, required| Device { name: name.to_owned(), required };
        assert_eq!(device("v/x=y"), expected("v/x=y", false));
        assert_eq!(device("name=x,required"), expected("x", true));
        assert_eq!(device("x,required=false"), expected("x", false));
    }

    #[test]
    fn errors_of_devices() {
        assert_eq!(errors("RUN --device=a,b x"), ["invalid field `b` must be a `key=value` pair"]);
        assert_eq!(errors("RUN --device=a,name=b x"), ["device name already set to `a`"]);
        assert_eq!(errors("RUN --device=a,c=b x"), ["unexpected key `c` in `c=b`"]);
        assert_eq!(errors("RUN --device=a,required=x x"), ["invalid value for `required`: `x`"]);
    }
}
