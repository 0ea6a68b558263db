// Draws system.dot twice: for light and for dark pages. Called by draw.sh.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const [tools, folder] = process.argv.slice(2);
const { instance } = createRequire(`${tools}/`)("@viz-js/viz");

const themes = {
  light: { INK: "#1f2328", SOFT: "#8c959f", PAPER: "#f6f8fa", CODE: "#ddf4ff", STORE: "#fff8c5" },
  dark: { INK: "#e6edf3", SOFT: "#6e7681", PAPER: "#161b22", CODE: "#0c2d6b", STORE: "#3b2300" },
};

const source = readFileSync(`${folder}/system.dot`, "utf8");
const viz = await instance();
for (const [theme, colours] of Object.entries(themes)) {
  const dot = source.replace(/\$([A-Z]+)/g, (name, key) => colours[key] ?? name);
  writeFileSync(`${folder}/system-${theme}.svg`, viz.renderString(dot, { format: "svg", engine: "neato" }));
}
