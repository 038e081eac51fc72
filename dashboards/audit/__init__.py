from dashboards.audit.auditor import Auditor as Auditor
