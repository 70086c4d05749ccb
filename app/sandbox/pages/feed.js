// Keeps the page up to date without touching what has not changed, so that nothing flickers and videos play on.
const REFRESH_MS = 1500;
const feed = document.getElementById("feed");
let tag = "";

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) continue;
    const isToday = moment.toDateString() === new Date().toDateString();
    const clock = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    time.textContent = isToday ? clock : moment.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" }) + ", " + clock;
    time.title = time.dateTime;
  }
}

// The new order of cards, each old one kept where its key is still there and its words are the same.
function mergeCards(oldCards, newCards) {
  const known = new Map([...oldCards.children].map((card) => [card.dataset.key, card]));
  const merged = [...newCards.children].map((card) => {
    const old = known.get(card.dataset.key);
    if (old && old.dataset.words === card.dataset.words) return old;
    if (!old && known.size) card.classList.add("fresh");
    return card;
  });
  if (merged.some((card, index) => card !== oldCards.children[index]) || merged.length !== oldCards.children.length) {
    oldCards.replaceChildren(...merged);
  }
}

function remember(root) {
  for (const card of root.querySelectorAll("[data-key]")) card.dataset.words = card.innerHTML;
  tellTimes(root);
}

function show(html) {
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  remember(fresh);
  fresh.querySelectorAll(".column").forEach((column) => {
    const old = document.getElementById(column.id);
    for (const part of ["h2", ".more"]) {
      const [was, is] = [old.querySelector(part), column.querySelector(part)];
      if (was && is) was.replaceWith(is);
      else if (was) was.remove();
      else if (is) old.append(is);
    }
    mergeCards(old.querySelector(".cards"), column.querySelector(".cards"));
  });
  feed.querySelector(".clock").textContent = fresh.querySelector(".clock").textContent;
}

async function refresh() {
  try {
    const answer = await fetch("/feed", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 200) {
      tag = answer.headers.get("etag");
      show(await answer.text());
    }
    document.body.classList.remove("away");
  } catch {
    document.body.classList.add("away");
  }
  setTimeout(refresh, REFRESH_MS);
}

function nameButton() {
  const chosen = document.querySelector(".choice input:checked");
  if (chosen) document.getElementById("continue").textContent = "Continue as " + chosen.dataset.name;
}

if (feed) {
  remember(feed);
  refresh();
} else {
  tellTimes(document);
  nameButton();
  document.addEventListener("change", nameButton);
}
