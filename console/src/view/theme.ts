// Light or dark: the system's choice, unless the reader has chosen.

import { colours, type Colours, type Theme } from './palette';

const dark = matchMedia('(prefers-color-scheme: dark)');

export function themeNow(): Colours {
  const chosen = localStorage.getItem('gridfleet-theme');
  const theme: Theme = chosen === 'dark' || chosen === 'light' ? chosen : dark.matches ? 'dark' : 'light';
  document.documentElement.dataset['theme'] = theme;
  return colours(theme);
}

export function bindTheme(changed: () => void): void {
  const field = document.getElementById('theme') as HTMLSelectElement;
  field.value = localStorage.getItem('gridfleet-theme') ?? 'auto';
  field.addEventListener('change', () => {
    if (field.value === 'auto') localStorage.removeItem('gridfleet-theme');
    else localStorage.setItem('gridfleet-theme', field.value);
    changed();
  });
  dark.addEventListener('change', changed);
}
