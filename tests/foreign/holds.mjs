// What both browsers wait for in a page: until the data attributes of its root element meet a condition.

export const holds = (condition) =>
  new Promise((resolve) => {
    const seen = document.documentElement.dataset;
    const met = ([name, value]) => (typeof value === "number" ? Number(seen[name]) >= value : seen[name] === value);
    const look = () => Object.entries(condition).every(met) && resolve({ ...seen });
    new MutationObserver(look).observe(document.documentElement, { attributes: true });
    look();
  });
