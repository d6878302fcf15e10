// The page of the gateway's admin listener begins here.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { App } from "./app.js";
import { begin } from "./gateway.js";

begin();
const root = document.getElementById("page");
if (root) render(<App />, root);
