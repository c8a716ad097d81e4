//! Steps in the sandbox: what they see, how they end, and what they can't do. Each case runs as whom the tests run;
//! if that is root, all of them run once more as an ordinary user.

mod clock;
mod ends;
mod escapes;
mod files;
mod ground;
mod mounts;
mod users;
mod world;

pub(crate) use ends::groups;
use ground::Ground;

/// Makes a test of each function, and a list of them all for [`users`].
macro_rules! cases {
    ($($name:ident)*) => {
        pub(super) const CASES: &[(&str, fn(&super::Ground))] = &[$((stringify!($name), $name)),*];

        mod tests {
            $(#[test]
            fn $name() {
                if let Some(ground) = super::super::Ground::new(stringify!($name)) {
                    super::$name(&ground);
                }
            })*
        }
    };
}
use cases;
