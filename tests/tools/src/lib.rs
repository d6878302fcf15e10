//! Foreign programs that the tests drive, and the honest way to do without one.
//!
//! The table says what is wanted and what installs it; `cargo xtask setup` reads it to install, tests
//! read it to find. A test that lacks its program records a skip, which is never counted as passed:
//!
//! ```
//! fn curl_reads_the_stream() {
//!     let curl = tidegate_test_tools::need!(curl);
//!     assert!(curl.is_file());
//! }
//! curl_reads_the_stream();
//! ```
#![forbid(unsafe_code)]

pub mod table;
pub mod foreign;
pub mod find;
pub mod skip;

pub use find::{
    bare_node, chromium, curl, firefox, h2load, java, nginx, node, openssl, php, python, ruby, strace,
    tshark, valgrind,
};
pub use foreign::{browser_module, folder, page};
pub use skip::skip;

/// The path of a program, or a recorded skip and `return` from the test (which must return `()`).
///
/// `need!(chromium)` calls [`chromium`]; any function of this crate's root that gives an
/// `Option<PathBuf>` will do.
#[macro_export]
macro_rules! need {
    ($tool:ident) => {
        match $crate::$tool() {
            Some(path) => path,
            None => {
                $crate::skip(concat!(stringify!($tool), " is not installed"));
                return;
            }
        }
    };
}
