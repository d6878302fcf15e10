// Firefox. Usage: FIREFOX URL CONDITION…; what it does with them is said in page.mjs. The page's own policy stays in force.

import { withPage } from "./launch.mjs";
import { watch } from "./page.mjs";

const [program, url, ...conditions] = process.argv.slice(2);
await withPage("firefox", program, (page) => watch(page, url, conditions));
