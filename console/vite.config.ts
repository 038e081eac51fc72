import { defineConfig } from 'vite';

// Relative addresses and fixed names: the page works under any path, and a new build is a readable change in git.
export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [
    {
      name: 'preload-page', // its code comes with the first script, not after it
      transformIndexHtml: {
        order: 'post',
        handler: () => [{ tag: 'link', attrs: { rel: 'modulepreload', href: './assets/main.js', crossorigin: true }, injectTo: 'head' }],
      },
    },
  ],
  build: {
    outDir: '../dashboards/console/page',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: false, // one file, which the page's head names
    rollupOptions: {
      output: {
        entryFileNames: 'assets/console.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
      },
    },
  },
  worker: {
    format: 'es',
    rollupOptions: { output: { entryFileNames: 'assets/connection.js' } },
  },
});
