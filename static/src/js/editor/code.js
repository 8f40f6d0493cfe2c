// A source that is only read: the text of the <pre> in a code view.

import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";

import { codeSetup, followTheme } from "./setup.js";

export function showCode(block) {
  const host = document.createElement("div");
  host.className = "code-view card-flush";
  const view = new EditorView({
    parent: host,
    doc: block.textContent,
    extensions: [
      codeSetup(block.dataset.cspNonce, block.getAttribute("aria-label")),
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
    ],
  });
  followTheme(view);
  block.replaceWith(host);
}
