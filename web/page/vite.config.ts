// How the page is bundled: one script and one style, under names that `make.mjs` gives a hash. In `npm run dev` the
// calls go to a gateway whose admin listener is at TIDEGATE_ADMIN.

import { defineConfig } from "vite";

const admin = process.env.TIDEGATE_ADMIN ?? "http://127.0.0.1:8081";
const calls = ["/watch", "/channels", "/connections", "/backends", "/handshakes"];

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  publicDir: "public",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: { entryFileNames: "page.js", assetFileNames: "page[extname]", codeSplitting: false },
    },
  },
  server: {
    proxy: Object.fromEntries(calls.map((call) => [call, { target: admin, ws: call === "/watch", changeOrigin: true }])),
  },
});
