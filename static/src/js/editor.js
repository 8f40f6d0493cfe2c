// The pages around a strategy's source. Each works without this file, on the plain textarea.

import { openEditor } from "./editor/page.js";
import { openMerge } from "./editor/merge.js";
import { showCode } from "./editor/code.js";

const form = document.querySelector("form[data-editor]");
if (form) openEditor(form);

const conflict = document.querySelector("form[data-merge]");
if (conflict) openMerge(conflict);

for (const block of document.querySelectorAll("pre[data-code]")) showCode(block);
