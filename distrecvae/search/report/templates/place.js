"use strict";
// The page of a search that runs reads itself again. The reader stays where he is: the section on top, what is unfolded
// and scrolled, zoomed figures, the trial that is open (it is in the address). Nothing is read again while he is at work.
const place = {
  key: "distrecvae " + location.pathname,
  zoomed: {},
  read() { try { return JSON.parse(sessionStorage.getItem(this.key)) || {}; } catch { return {}; } },
  write(kept) { try { sessionStorage.setItem(this.key, JSON.stringify(kept)); } catch { /* then it begins at the top */ } },
  keep(made, every) {
    const above = [...document.querySelectorAll("main [id]")].filter((each) => each.getBoundingClientRect().top < 60).pop();
    this.write({
      made, every, zoomed: this.zoomed, y: window.scrollY,
      anchor: above && above.id, offset: above && above.getBoundingClientRect().top,
      unfolded: [...document.querySelectorAll("details[open][id]")].map((each) => each.id),
      sideways: [...document.querySelectorAll("main .wide")].map((each) => each.scrollLeft),
      panel: document.getElementById("trial").scrollTop, focus: document.activeElement && document.activeElement.id,
    });
  },
  restore(kept) {
    if (kept.y === undefined) return;
    history.scrollRestoration = "manual";
    this.zoomed = kept.zoomed || {};
    for (const id of kept.unfolded) { const each = document.getElementById(id); if (each) each.open = true; }
    document.querySelectorAll("main .wide").forEach((each, i) => { each.scrollLeft = kept.sideways[i] || 0; });
    const anchor = kept.anchor && document.getElementById(kept.anchor);
    window.scrollTo(0, anchor ? window.scrollY + anchor.getBoundingClientRect().top - kept.offset : kept.y);
    const focus = kept.focus && document.getElementById(kept.focus);
    if (focus) focus.focus({preventScroll: true});
  },
};
const kept = live.every_s ? place.read() : {};
place.restore(kept);
if (live.every_s) {
  const STILL_MS = 4000, SLOWEST_S = 300;
  // What has not changed since is asked for less and less often.
  const every = kept.made === live.made ? Math.min((kept.every || live.every_s) * 1.5, SLOWEST_S) : live.every_s;
  const read = Date.now(), line = document.getElementById("live"), button = document.getElementById("hold");
  let touched = 0, held = false;
  for (const kind of ["pointerdown", "wheel", "keydown", "scroll", "touchmove"]) {
    window.addEventListener(kind, () => { touched = Date.now(); }, {passive: true, capture: true});
  }
  document.addEventListener("pointermove", (event) => {
    if (event.target.closest && event.target.closest(".figure")) touched = Date.now();
  }, {passive: true});
  button.addEventListener("click", () => {
    held = !held;
    button.setAttribute("aria-pressed", held);
    line.classList.toggle("held", held);
  });
  const again = () => {
    const busy = held || document.visibilityState !== "visible" || Date.now() - touched < STILL_MS
      || String(window.getSelection()) !== "";
    if (busy || Date.now() - read < every * 1000) return;
    place.keep(live.made, every);
    location.reload();
  };
  setInterval(again, 1000);
  document.addEventListener("visibilitychange", again);
}
