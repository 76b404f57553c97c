// While the page starts: a module that does not arrive leaves nothing but its markup, so this is none. The
// notice appears by itself when the page has not started after some seconds (style.css), also when this file is
// what is missing; here it appears at once, with a button. main.js removes it.

const reload = () => {
  document.body.dataset.screen = 'failed';
  const button = document.getElementById('starting-reload');
  button.hidden = false;
  button.addEventListener('click', () => location.reload());
};

// Errors of loading do not bubble: they are caught on their way down.
document.addEventListener('error', ({ target }) => {
  if (target.type !== 'module') return;
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', reload);
  else reload();
}, true);
