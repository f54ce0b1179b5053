import { setupManifest } from '@start9labs/start-sdk'

export const manifest = setupManifest({
  id: 'jd-manager',
  title: 'jd-manager',
  license: 'MIT',
  packageRepo: 'https://jd-manager.example/source',
  upstreamRepo: 'https://jd-manager.example/source',
  marketingUrl: 'https://jd-manager.example',
  donationUrl: null,
  description: {
    short: 'Run, monitor and update Stratum V2 Job Declarator clients',
    long: 'jd-manager runs Stratum V2 Job Declarator clients (jd_client_sv2), which let you choose the transactions of the blocks that you mine, with a pool or solo, with templates from your own Bitcoin node. It restarts clients that fail, shows hashrate and miners, and updates clients safely.',
  },
  volumes: ['main'],
  images: {
    'jd-manager': {
      source: {
        // The sources of jd-manager, two directories up.
        dockerBuild: { dockerfile: '../../Containerfile', workdir: '../..' },
      },
      arch: ['x86_64', 'aarch64'],
    },
  },
  alerts: {
    install: null,
    update: 'Clients stop for the update. Miners reconnect afterward.',
    uninstall: null,
    restore: null,
    start: null,
    stop: 'Stopping jd-manager also stops its clients.',
  },
  dependencies: {
    bitcoind: {
      description: 'Block templates, through the IPC socket of Bitcoin Core 30 or 31',
      optional: true,
      s9pk: null,
    },
  },
})
