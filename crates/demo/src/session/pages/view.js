// Where one looks.

/** Brings what happened into view, and the focus with it. The style sheet says whether that is seen to move. */
export function bring(element) {
  element.scrollIntoView({ block: "start" });
  element.focus({ preventScroll: true });
}
