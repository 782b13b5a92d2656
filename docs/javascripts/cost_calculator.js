// The calculator of costs.md, by the prices of bench/prices.py.
const GB_SECOND = 0.0000133334, MILLION_REQUESTS = 0.2, MILLION_WRITE_UNITS = 0.625, LOG_GB = 0.5;
const LOG_LINE_KB = 1.3;

function cost({ requests, seconds, memory, writes }) {
  const millions = requests / 1e6;
  return {
    "Lambda duration": (requests * seconds * memory * GB_SECOND) / 1024,
    "Lambda requests": millions * MILLION_REQUESTS,
    DynamoDB: millions * writes * MILLION_WRITE_UNITS,
    "CloudWatch Logs": millions * LOG_LINE_KB * LOG_GB,
  };
}

const form = document.getElementById("cost");
if (form) {
  const show = () => {
    const given = Object.fromEntries([...form.querySelectorAll("input")].map((input) => [input.name, +input.value]));
    const parts = Object.entries(cost(given));
    const sum = parts.reduce((total, [, usd]) => total + usd, 0);
    const written = parts.map(([name, usd]) => `${name} ${usd.toFixed(2)}`).join(" + ");
    form.elements.result.textContent = `${written} = ${sum.toFixed(2)} USD a month`;
  };
  form.addEventListener("input", show);
  show();
}
