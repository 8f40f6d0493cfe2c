// The conflict page: the saved text on the left, the unsaved one on the right, changes taken over by a click.

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { MergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";

import { dropDraft, keepDraft } from "./draft.js";
import { codeSetup, followTheme } from "./setup.js";

export function openMerge(form) {
  const { cspNonce, draft } = form.dataset;
  const textarea = form.elements.source;
  const basedOn = Number(form.elements.based_on.value);
  const merge = new MergeView({
    parent: form.querySelector(".merge-host"),
    a: {
      doc: document.getElementById("theirs").value,
      extensions: [codeSetup(cspNonce, "Saved version"), EditorState.readOnly.of(true)],
    },
    b: {
      doc: textarea.value,
      extensions: [
        codeSetup(cspNonce, "Your text"),
        history(),
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) keepDraft(draft, update.state.doc.toString(), basedOn);
        }),
      ],
    },
    revertControls: "a-to-b",
    collapseUnchanged: { margin: 4, minSize: 8 },
  });
  followTheme(merge.a);
  followTheme(merge.b);
  for (const part of form.querySelectorAll(".merge-heads, .merge-host")) part.hidden = false;
  form.querySelector("[data-merge-plain]").hidden = true;

  let isLeaving = false;
  const leave = () => {
    isLeaving = true;
    dropDraft(draft);
  };
  form.addEventListener("submit", () => {
    textarea.value = merge.b.state.doc.toString();
    isLeaving = true;
  });
  document.querySelector("[data-drop-draft]")?.addEventListener("click", leave);
  addEventListener("beforeunload", (event) => {
    if (!isLeaving) event.preventDefault();
  });
}
