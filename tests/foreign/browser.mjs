// Chromium. Usage: CHROMIUM URL CONDITION…; what it does with them is said in page.mjs. The page's own policy stays in force.

import { withPage } from "./launch.mjs";
import { watch } from "./page.mjs";

const [program, url, ...conditions] = process.argv.slice(2);
await withPage("chromium", program, (page) => watch(page, url, conditions));
