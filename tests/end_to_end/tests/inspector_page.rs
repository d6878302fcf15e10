//! The page of the admin listener in a browser, over a real gateway.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// The page in a browser.
struct Page(Script);

impl Page {
    fn open(node: &Path, browser: (&str, &Path), url: &str) -> Self {
        let folder = tidegate_test_tools::folder();
        let mut command = Command::new(node);
        command.arg(folder.join("inspector.mjs")).arg(browser.0).arg(browser.1).arg(url);
        let mut script = Script::start_on_leash(command.current_dir(folder));
        script.event("opened");
        Self(script)
    }

    /// Takes a step, and waits until it is done.
    #[track_caller]
    fn step(&mut self, order: &Value) -> Value {
        self.0.say(order);
        self.0.event("done")
    }

    /// Waits until an element is there that holds this text.
    #[track_caller]
    fn shows(&mut self, selector: &str, text: &str) {
        self.step(&json!({ "wait": selector, "text": text }));
    }

    #[track_caller]
    fn press(&mut self, key: &str) {
        self.step(&json!({ "press": key }));
    }

    #[track_caller]
    fn go(&mut self, place: &str) {
        self.step(&json!({ "go": place }));
    }
}

const CHAT: &str = "[[route]]\npath = \"/chat/{room}\"\nchannel = {}\npublish = \"anyone\"\n\
                    history = { size = 100 }\n";

#[test]
fn the_page_asks_for_a_token_and_says_that_one_is_wrong() {
    let (node, chromium) = (need!(node), need!(chromium));
    let gateway = Gateway::configured(CHAT);
    let mut page = Page::open(&node, ("chromium", &chromium), &format!("http://{}/", gateway.admin()));
    page.shows("label", "Admin token");
    for (token, selector, text) in
        [("wrong", "[role=alert]", "refuses this token"), (gateway.token(), ".pulse", "live")]
    {
        page.step(&json!({ "click": "#token" }));
        page.step(&json!({ "press": "Control+a" }));
        page.step(&json!({ "type": token }));
        page.press("Enter");
        page.shows(selector, text);
    }
    page.go("#/figures");
    page.shows(".chart", "Connections");
}
